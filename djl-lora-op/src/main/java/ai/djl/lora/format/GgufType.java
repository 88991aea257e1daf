/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.safetensors.SafetensorsType;
import java.util.Arrays;
import java.util.Optional;

/**
 * The tensor types of GGUF, by ggml's names and numbers. Those with a type to read are read, the
 * others are known so that messages can name them.
 */
enum GgufType {
    F32(0, SafetensorsType.F32),
    F16(1, SafetensorsType.F16),
    Q4_0(2),
    Q4_1(3),
    Q5_0(6),
    Q5_1(7),
    /** Blocks of 32 bytes with one float16 in front, by which each byte is multiplied. */
    Q8_0(8, SafetensorsType.F32),
    Q8_1(9),
    Q2_K(10),
    Q3_K(11),
    Q4_K(12),
    Q5_K(13),
    Q6_K(14),
    Q8_K(15),
    IQ2_XXS(16),
    IQ2_XS(17),
    IQ3_XXS(18),
    IQ1_S(19),
    IQ4_NL(20),
    IQ3_S(21),
    IQ2_S(22),
    IQ4_XS(23),
    I8(24),
    I16(25),
    I32(26),
    I64(27),
    F64(28),
    IQ1_M(29),
    BF16(30, SafetensorsType.BF16),
    TQ1_0(34),
    TQ2_0(35),
    MXFP4(39);

    /** How many elements of Q8_0 share a scale. */
    static final int BLOCK = 32;

    /** The bytes of such a block. */
    static final int BLOCK_BYTES = 2 + BLOCK;

    private final int code;
    private final SafetensorsType readAs;

    GgufType(int code) {
        this(code, null);
    }

    GgufType(int code, SafetensorsType readAs) {
        this.code = code;
        this.readAs = readAs;
    }

    /** Returns the type of a number in a file, empty where ggml has none. */
    static Optional<GgufType> of(long code) {
        return Arrays.stream(values()).filter(type -> type.code == code).findAny();
    }

    /** Returns the type that tensors are given out as, empty for those that are not read. */
    Optional<SafetensorsType> readAs() {
        return Optional.ofNullable(readAs);
    }
}
