/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import ai.djl.lora.adapter.NearestNames;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.PriorityQueue;

/**
 * Finds the names that someone may have meant among thousands. Who asks for a name that does not
 * exist may do so again and again: edit distances are computed for the few names alone that begin
 * and end like the one asked for.
 */
final class LikelyNames {

    private static final int COMPARED = 64;

    private LikelyNames() {}

    private record Candidate(String name, int alike) {}

    static List<String> of(String name, Collection<String> names) {
        PriorityQueue<Candidate> best =
                new PriorityQueue<>(
                        Comparator.comparingInt(Candidate::alike)
                                .thenComparing(Candidate::name, Comparator.reverseOrder()));
        for (String other : names) {
            best.add(new Candidate(other, alike(name, other)));
            if (best.size() > COMPARED) {
                best.remove();
            }
        }
        return NearestNames.of(name, best.stream().map(Candidate::name).sorted().toList());
    }

    /** Returns how many characters two names share at both ends, less by how much one is longer. */
    private static int alike(String a, String b) {
        int shorter = Math.min(a.length(), b.length());
        int start = 0;
        while (start < shorter && a.charAt(start) == b.charAt(start)) {
            ++start;
        }
        int end = 0;
        while (end < shorter - start
                && a.charAt(a.length() - 1 - end) == b.charAt(b.length() - 1 - end)) {
            ++end;
        }
        return start + end - Math.abs(a.length() - b.length());
    }
}
