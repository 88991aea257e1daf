/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.tensor;

import ai.djl.lora.LoraConfigurationException;
import java.util.Arrays;
import java.util.stream.Collectors;

/**
 * The type of a weight's or an activation's elements.
 *
 * <p>DJL's own {@code DataType} is not used for this: DJL's PyTorch engine ends the JVM when it is
 * handed bfloat16.
 */
public enum ElementType {
    /** IEEE 754 binary32. */
    FLOAT32("float32", "F32", 4, 0),
    /** IEEE 754 binary16. */
    FLOAT16("float16", "F16", 2, 1),
    /** The upper half of a binary32. */
    BFLOAT16("bfloat16", "BF16", 2, 2);

    private final String label;
    private final String safetensorsName;
    private final int bytes;
    private final int code;

    ElementType(String label, String safetensorsName, int bytes, int code) {
        this.label = label;
        this.safetensorsName = safetensorsName;
        this.bytes = bytes;
        this.code = code;
    }

    /**
     * Returns the name by which users and Hugging Face configurations call this type.
     *
     * @return the name, such as {@code bfloat16}
     */
    public String label() {
        return label;
    }

    /**
     * Returns the name of this type in a safetensors header.
     *
     * @return the name, such as {@code BF16}
     */
    public String safetensorsName() {
        return safetensorsName;
    }

    /**
     * Returns the size of an element.
     *
     * @return the size in bytes
     */
    public int bytes() {
        return bytes;
    }

    /**
     * Returns the number by which the native library knows this type.
     *
     * @return the code
     */
    public int code() {
        return code;
    }

    /**
     * Returns the type of the given name.
     *
     * @param name a name as {@link #label()} gives it
     * @return the type
     * @throws LoraConfigurationException if there is no such type
     */
    public static ElementType ofLabel(String name) {
        for (ElementType type : values()) {
            if (type.label.equals(name)) {
                return type;
            }
        }
        throw new LoraConfigurationException(
                "Unknown data type \"" + name + "\"; allowed are " + labels());
    }

    /** {@inheritDoc} */
    @Override
    public String toString() {
        return label;
    }

    private static String labels() {
        return Arrays.stream(values()).map(ElementType::label).collect(Collectors.joining(", "));
    }
}
