/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import ai.djl.lora.LoraConfigurationException;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.function.Supplier;

/**
 * The strategies by name: the built-in ones, those of other jars, and those that an application
 * registers here.
 *
 * <p>An instance is to be filled by one thread before others use it.
 */
public final class EvictionStrategies {

    /** The strategy of a tier for which none is named; docs/results/residency.md says why. */
    public static final String DEFAULT = "horizon-lfu";

    private static final String ADAPTIVE = "adaptive";

    private final Map<String, EvictionStrategyProvider> providers = new LinkedHashMap<>();

    /** Constructs a new {@code EvictionStrategies} instance. */
    public EvictionStrategies() {
        List<Supplier<EvictionStrategy>> builtIn =
                List.of(
                        HorizonLfuStrategy::new,
                        TinyLfuStrategy::new,
                        LfuStrategy::new,
                        LruStrategy::new,
                        FifoStrategy::new,
                        PriorityStrategy::new,
                        CostAwareStrategy::new,
                        SizeStrategy::new);
        builtIn.forEach(constructor -> register(new BuiltIn(constructor)));
        ServiceLoader.load(EvictionStrategyProvider.class).forEach(this::register);
    }

    /**
     * Adds a strategy.
     *
     * @param provider makes it
     * @throws LoraConfigurationException if its name is taken
     */
    public void register(EvictionStrategyProvider provider) {
        String name = provider.getName();
        if (name.equals(ADAPTIVE) || providers.putIfAbsent(name, provider) != null) {
            throw new LoraConfigurationException(
                    "Two eviction strategies are called \"" + name + "\"");
        }
    }

    /**
     * Returns the strategies that decide by themselves: all but {@code adaptive}, which chooses
     * among them.
     *
     * @return the names, the default first
     */
    public Set<String> fixedNames() {
        return Collections.unmodifiableSet(providers.keySet());
    }

    /**
     * Returns every strategy.
     *
     * @return the names, the default first
     */
    public Set<String> names() {
        Set<String> names = new LinkedHashSet<>(providers.keySet());
        names.add(ADAPTIVE);
        return Collections.unmodifiableSet(names);
    }

    /**
     * Makes the strategy of a tier.
     *
     * @param name its name
     * @param context what the tier gives
     * @return a new instance
     * @throws LoraConfigurationException if there is no strategy of that name
     */
    public EvictionStrategy create(String name, StrategyContext context) {
        if (name.equals(ADAPTIVE)) {
            return new AdaptiveStrategy(this, context, AdaptiveStrategy.Settings.DEFAULT);
        }
        EvictionStrategyProvider provider = providers.get(name);
        if (provider == null) {
            throw new LoraConfigurationException(
                    "Unknown eviction strategy \""
                            + name
                            + "\"; allowed are "
                            + String.join(", ", names()));
        }
        return provider.create(context);
    }

    /** A strategy that needs nothing of the tier. */
    private record BuiltIn(Supplier<EvictionStrategy> constructor)
            implements EvictionStrategyProvider {

        @Override
        public String getName() {
            return constructor.get().name();
        }

        @Override
        public EvictionStrategy create(StrategyContext context) {
            return constructor.get();
        }
    }
}
