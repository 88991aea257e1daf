/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.safetensors;

import ai.djl.lora.tensor.ElementType;
import java.util.Arrays;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * The element types of the safetensors format that take whole bytes.
 *
 * <p>The constants' names are the format's. Its types of 4 and 6 bits are not read.
 */
public enum SafetensorsType {
    /** One byte, 0 or 1. */
    BOOL(1),
    /** Unsigned, 8 bits. */
    U8(1),
    /** Signed, 8 bits. */
    I8(1),
    /** Floating point, 8 bits, 5 of exponent, 2 of mantissa. */
    F8_E5M2(1),
    /** Floating point, 8 bits, 4 of exponent, 3 of mantissa. */
    F8_E4M3(1),
    /** A power of two in 8 bits. */
    F8_E8M0(1),
    /** Signed, 16 bits. */
    I16(2),
    /** Unsigned, 16 bits. */
    U16(2),
    /** IEEE 754 binary16. */
    F16(2, ElementType.FLOAT16),
    /** The upper half of a binary32. */
    BF16(2, ElementType.BFLOAT16),
    /** Signed, 32 bits. */
    I32(4),
    /** Unsigned, 32 bits. */
    U32(4),
    /** IEEE 754 binary32. */
    F32(4, ElementType.FLOAT32),
    /** A complex number of two binary32. */
    C64(8),
    /** IEEE 754 binary64. */
    F64(8),
    /** Signed, 64 bits. */
    I64(8),
    /** Unsigned, 64 bits. */
    U64(8);

    private final int bytes;
    private final ElementType elementType;

    SafetensorsType(int bytes) {
        this(bytes, null);
    }

    SafetensorsType(int bytes, ElementType elementType) {
        this.bytes = bytes;
        this.elementType = elementType;
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
     * Returns the type of weights and activations that this type is.
     *
     * @return the type, empty for those that no weight is computed in
     */
    public Optional<ElementType> elementType() {
        return Optional.ofNullable(elementType);
    }

    /**
     * Returns the type of a name in a header.
     *
     * @param name the name, such as {@code BF16}
     * @return the type, empty where the name is none of this type's
     */
    public static Optional<SafetensorsType> ofName(String name) {
        return Arrays.stream(values()).filter(type -> type.name().equals(name)).findAny();
    }

    static String names() {
        return Arrays.stream(values()).map(Enum::name).collect(Collectors.joining(", "));
    }
}
