/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;

/** A sequence of requests for adapters, to be replayed. */
public final class Trace {

    private final List<CacheEntry> entries;
    private final int[] requests;
    private final int[] ranking;

    /**
     * Constructs a new {@code Trace} instance whose ranking is counted.
     *
     * @param entries the adapters, each id once
     * @param requests the index in {@code entries} of each request's adapter
     */
    public Trace(List<CacheEntry> entries, int[] requests) {
        this(entries, requests, counted(entries.size(), checked(entries.size(), requests)));
    }

    /**
     * Constructs a new {@code Trace} instance.
     *
     * @param entries the adapters, each id once
     * @param requests the index in {@code entries} of each request's adapter
     * @param ranking the indexes of all adapters, the truly most popular first
     */
    Trace(List<CacheEntry> entries, int[] requests, int[] ranking) {
        this.entries = List.copyOf(entries);
        this.requests = requests.clone();
        this.ranking = ranking.clone();
        Set<String> ids = new HashSet<>();
        for (CacheEntry entry : entries) {
            if (!ids.add(entry.id())) {
                throw new IllegalArgumentException("the adapter " + entry.id() + " is there twice");
            }
        }
        checked(entries.size(), requests);
    }

    private static int[] checked(int entries, int[] requests) {
        for (int request : requests) {
            if (request < 0 || request >= entries) {
                throw new IllegalArgumentException(
                        "a request for adapter " + request + " of " + entries);
            }
        }
        return requests;
    }

    /**
     * Returns the adapters.
     *
     * @return the adapters
     */
    public List<CacheEntry> entries() {
        return entries;
    }

    /**
     * Returns the number of requests.
     *
     * @return the number of requests
     */
    public int length() {
        return requests.length;
    }

    /**
     * Returns which adapter a request is for.
     *
     * @param request the number of the request, from 0
     * @return the index of the adapter in {@link #entries}
     */
    public int request(int request) {
        return requests[request];
    }

    /**
     * Returns the adapters by popularity: the true one where requests were drawn from one
     * distribution, else as counted over the whole trace.
     *
     * @return the indexes of all adapters, the most popular first
     */
    public int[] ranking() {
        return ranking.clone();
    }

    private static int[] counted(int entries, int[] requests) {
        int[] counts = new int[entries];
        Arrays.stream(requests).forEach(request -> ++counts[request]);
        return IntStream.range(0, entries)
                .boxed()
                .sorted(Comparator.comparingInt(i -> -counts[i]))
                .mapToInt(Integer::intValue)
                .toArray();
    }
}
