/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.LoraConfigurationException;
import java.util.Arrays;
import java.util.stream.Collectors;

/** How a model's resident adapters are held. */
public enum AdapterType {
    /** In the type of the model's weights. */
    MODEL("model"),
    /** A and B as 8-bit integers with a scale for each rank component. */
    INT8("int8");

    private final String label;

    AdapterType(String label) {
        this.label = label;
    }

    /**
     * Returns the name by which users call this type.
     *
     * @return the name, such as {@code int8}
     */
    public String label() {
        return label;
    }

    /**
     * Returns the type of the given name.
     *
     * @param name a name as {@link #label()} gives it
     * @return the type
     * @throws LoraConfigurationException if there is no such type
     */
    public static AdapterType ofLabel(String name) {
        return Arrays.stream(values())
                .filter(type -> type.label.equals(name))
                .findFirst()
                .orElseThrow(
                        () ->
                                new LoraConfigurationException(
                                        "Unknown type of adapters \""
                                                + name
                                                + "\"; allowed are "
                                                + Arrays.stream(values())
                                                        .map(AdapterType::label)
                                                        .collect(Collectors.joining(", "))));
    }

    /** {@inheritDoc} */
    @Override
    public String toString() {
        return label;
    }
}
