/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Optional;
import java.util.function.Predicate;

/** A strategy of another jar: evicts what came in last. */
public final class NewestFirstProvider implements EvictionStrategyProvider {

    static final String NAME = "newest-first";

    @Override
    public String getName() {
        return NAME;
    }

    @Override
    public EvictionStrategy create(StrategyContext context) {
        Deque<CacheEntry> stack = new ArrayDeque<>();
        return new EvictionStrategy() {

            @Override
            public String name() {
                return NAME;
            }

            @Override
            public void admitted(CacheEntry entry) {
                removed(entry);
                stack.push(entry);
            }

            @Override
            public void accessed(CacheEntry entry) {
                if (stack.removeIf(e -> e.id().equals(entry.id()))) {
                    stack.push(entry);
                }
            }

            @Override
            public void missed(CacheEntry entry) {}

            @Override
            public void removed(CacheEntry entry) {
                stack.removeIf(e -> e.id().equals(entry.id()));
            }

            @Override
            public Optional<CacheEntry> victim(Predicate<CacheEntry> evictable) {
                return stack.stream().filter(evictable).findFirst();
            }
        };
    }
}
