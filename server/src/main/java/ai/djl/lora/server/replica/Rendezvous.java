/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.replica;

import java.util.Comparator;
import java.util.List;

/**
 * Puts replicas in an order of each key's own, always the same and remembered nowhere: by the
 * highest random weight (Thaler and Ravishankar, "Using name-based mappings to increase hit rates",
 * IEEE/ACM Transactions on Networking 6(1), 1998). When a replica goes, the keys that had it first
 * move and no others, and evenly to all that are left.
 */
final class Rendezvous {

    private static final long FNV_OFFSET = 0xcbf29ce484222325L;
    private static final long FNV_PRIME = 0x100000001b3L;
    private static final long GOLDEN_GAMMA = 0x9e3779b97f4a7c15L;

    private Rendezvous() {}

    /** Returns the replicas in a key's order. */
    static List<ReplicaLoad> order(String key, List<ReplicaLoad> replicas) {
        long hash = hash(key);
        return replicas.stream()
                .sorted(Comparator.comparingLong(load -> weight(hash, load.replica())))
                .toList();
    }

    /** FNV-1a, over characters. */
    private static long hash(String key) {
        long hash = FNV_OFFSET;
        for (int i = 0; i < key.length(); ++i) {
            hash = (hash ^ key.charAt(i)) * FNV_PRIME;
        }
        return hash;
    }

    /** SplitMix64's steps and finalizer (Steele, Lea and Flood, OOPSLA 2014). */
    private static long weight(long hash, int replica) {
        long z = hash + (replica + 1) * GOLDEN_GAMMA;
        z = (z ^ z >>> 30) * 0xbf58476d1ce4e5b9L;
        z = (z ^ z >>> 27) * 0x94d049bb133111ebL;
        return z ^ z >>> 31;
    }
}
