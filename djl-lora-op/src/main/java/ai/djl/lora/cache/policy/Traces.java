/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

/** Makes traces. The same arguments give the same trace. */
public final class Traces {

    private static final long MEGABYTE = 1L << 20;
    private static final long NANOS_PER_MEGABYTE = 1_000_000;

    private Traces() {}

    /**
     * Returns adapters of 8 MB each, whose loads take 8 ms.
     *
     * @param count the number of adapters
     * @return the adapters
     */
    public static List<CacheEntry> equalAdapters(int count) {
        return IntStream.range(0, count).mapToObj(i -> adapter(i, 8)).toList();
    }

    /**
     * Returns adapters whose sizes are drawn from 2, 4, 8, ... 64 MB, and whose loads take 1 ms for
     * each MB.
     *
     * @param count the number of adapters
     * @param seed the seed
     * @return the adapters
     */
    public static List<CacheEntry> mixedAdapters(int count, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        List<CacheEntry> adapters = new ArrayList<>();
        for (int i = 0; i < count; ++i) {
            adapters.add(adapter(i, 2 << random.nextInt(6)));
        }
        return adapters;
    }

    /**
     * Returns requests by Zipf's law: that for the i-th most popular adapter has a probability in
     * proportion to {@code i^-exponent}. Which adapter is how popular is drawn.
     *
     * @param adapters the adapters
     * @param exponent the exponent, 0 for a uniform distribution
     * @param length the number of requests
     * @param seed the seed
     * @return the trace
     */
    public static Trace zipf(List<CacheEntry> adapters, double exponent, int length, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        int[] ranking = permutation(adapters.size(), random);
        double[] cumulative = cumulative(adapters.size(), exponent);
        int[] requests = new int[length];
        Arrays.setAll(requests, i -> ranking[draw(cumulative, random)]);
        return new Trace(adapters, requests, ranking);
    }

    /**
     * Returns requests by Zipf's law, where who is how popular is drawn anew once in a period.
     *
     * @param adapters the adapters
     * @param exponent the exponent
     * @param period the number of requests that a popularity lasts
     * @param length the number of requests
     * @param seed the seed
     * @return the trace
     */
    public static Trace shifting(
            List<CacheEntry> adapters, double exponent, int period, int length, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        double[] cumulative = cumulative(adapters.size(), exponent);
        int[] ranking = {};
        int[] requests = new int[length];
        for (int i = 0; i < length; ++i) {
            if (i % period == 0) {
                ranking = permutation(adapters.size(), random);
            }
            requests[i] = ranking[draw(cumulative, random)];
        }
        return new Trace(adapters, requests);
    }

    /**
     * Returns requests for all adapters alike.
     *
     * @param adapters the adapters
     * @param length the number of requests
     * @param seed the seed
     * @return the trace
     */
    public static Trace uniform(List<CacheEntry> adapters, int length, long seed) {
        return zipf(adapters, 0, length, seed);
    }

    /**
     * Returns requests by Zipf's law into which scans break: at the end of each period some
     * requests go through all adapters in turn, each scan from where the last one stopped.
     *
     * @param adapters the adapters
     * @param exponent the exponent
     * @param period the number of requests from one scan to the next
     * @param scan how many of them are the scan
     * @param length the number of requests
     * @param seed the seed
     * @return the trace
     */
    public static Trace scans(
            List<CacheEntry> adapters,
            double exponent,
            int period,
            int scan,
            int length,
            long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        int[] ranking = permutation(adapters.size(), random);
        double[] cumulative = cumulative(adapters.size(), exponent);
        int[] requests = new int[length];
        int next = 0;
        for (int i = 0; i < length; ++i) {
            if (i % period >= period - scan) {
                requests[i] = next;
                next = (next + 1) % adapters.size();
            } else {
                requests[i] = ranking[draw(cumulative, random)];
            }
        }
        return new Trace(adapters, requests, ranking);
    }

    private static CacheEntry adapter(int index, long megabytes) {
        return new CacheEntry(
                "adapter-" + index, megabytes * MEGABYTE, megabytes * NANOS_PER_MEGABYTE, 0);
    }

    private static int[] permutation(int size, SplittableRandom random) {
        int[] values = IntStream.range(0, size).toArray();
        for (int i = size - 1; i > 0; --i) {
            int other = random.nextInt(i + 1);
            int value = values[i];
            values[i] = values[other];
            values[other] = value;
        }
        return values;
    }

    private static double[] cumulative(int size, double exponent) {
        double[] sums = new double[size];
        double sum = 0;
        for (int i = 0; i < size; ++i) {
            sum += Math.pow(i + 1, -exponent);
            sums[i] = sum;
        }
        return sums;
    }

    private static int draw(double[] cumulative, SplittableRandom random) {
        int last = cumulative.length - 1;
        int found = Arrays.binarySearch(cumulative, random.nextDouble() * cumulative[last]);
        return Math.min(found < 0 ? -found - 1 : found, last);
    }
}
