/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import ai.djl.lora.LoraConfigurationException;
import java.util.Collections;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.TreeMap;

/** The variants of adapters that can be loaded, by {@code peft_type}. Immutable. */
public final class VariantRegistry {

    private final Map<String, AdapterVariant> variants;

    private VariantRegistry(Map<String, AdapterVariant> variants) {
        this.variants = Collections.unmodifiableMap(variants);
    }

    /**
     * Returns the variants on the class path: the built-in ones and those that other jars provide
     * as services of the type {@link AdapterVariant}.
     *
     * @return the registry
     * @throws LoraConfigurationException if two of them are for the same {@code peft_type}
     */
    public static VariantRegistry discover() {
        Map<String, AdapterVariant> found = new TreeMap<>();
        for (AdapterVariant variant :
                ServiceLoader.load(AdapterVariant.class, AdapterVariant.class.getClassLoader())) {
            for (String type : variant.peftTypes()) {
                AdapterVariant other = found.put(type, variant);
                if (other != null) {
                    throw new LoraConfigurationException(
                            "Both "
                                    + other.getClass().getName()
                                    + " and "
                                    + variant.getClass().getName()
                                    + " are for the peft_type "
                                    + type);
                }
            }
        }
        return new VariantRegistry(found);
    }

    /**
     * Returns a registry with one more variant, which stands in place of others for the same
     * adapters.
     *
     * @param variant the variant
     * @return a new registry
     */
    public VariantRegistry with(AdapterVariant variant) {
        Map<String, AdapterVariant> more = new TreeMap<>(variants);
        variant.peftTypes().forEach(type -> more.put(type, variant));
        return new VariantRegistry(more);
    }

    /**
     * Returns the variant for a type.
     *
     * @param peftType the type
     * @return the variant, or empty
     */
    public Optional<AdapterVariant> find(String peftType) {
        return Optional.ofNullable(variants.get(peftType));
    }

    /**
     * Returns what can be loaded.
     *
     * @return the types, sorted
     */
    public Set<String> peftTypes() {
        return variants.keySet();
    }
}
