/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

/** How a pool holds keys and values. */
public enum KvType {
    /** In the type of the model's weights. */
    MODEL("model"),
    /** As 8-bit integers, with a scale in bfloat16 for each position of a head. */
    INT8("int8");

    private final String label;

    KvType(String label) {
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

    /** {@inheritDoc} */
    @Override
    public String toString() {
        return label;
    }
}
