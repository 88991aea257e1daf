/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import java.util.*;
import java.util.function.Predicate;

/** tmp. */
public class EvictionStrategies {
    public static final String DEFAULT = "lru";

    public EvictionStrategy create(String n) {
        return new EvictionStrategy() {
            LinkedHashMap<String, CacheEntry> m = new LinkedHashMap<>();

            public String name() {
                return "lru";
            }

            public void admitted(CacheEntry e) {
                m.put(e.id(), e);
            }

            public void accessed(CacheEntry e) {
                CacheEntry x = m.remove(e.id());
                if (x != null) m.put(e.id(), x);
            }

            public void missed(CacheEntry e) {}

            public void removed(CacheEntry e) {
                m.remove(e.id());
            }

            public Optional<CacheEntry> victim(Predicate<CacheEntry> p) {
                return m.values().stream().filter(p).findFirst();
            }

            public boolean admits(CacheEntry c, CacheEntry v) {
                return true;
            }
        };
    }
}
