/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import java.util.Optional;
import java.util.function.Predicate;

/** tmp. */
public interface EvictionStrategy {
    String name();

    void admitted(CacheEntry e);

    void accessed(CacheEntry e);

    void missed(CacheEntry e);

    void removed(CacheEntry e);

    Optional<CacheEntry> victim(Predicate<CacheEntry> p);

    boolean admits(CacheEntry c, CacheEntry v);
}
