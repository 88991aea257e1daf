/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.jit;

import ai.djl.lora.tensor.ElementType;
import java.util.List;

/**
 * What SGMV kernels are compiled for beside the device. The rank and the hidden size reach the
 * kernels as {@code DJL_LORA_RANK} and {@code DJL_LORA_HIDDEN}. What is compiled computes any other
 * shape as well, the general way.
 *
 * @param type the type of weights and activations, float16 or bfloat16
 * @param rank the adapters' rank, 1 to 256
 * @param hiddenSize the number of inputs of the modules, which for most is the model's hidden size,
 *     1 or more
 */
public record KernelShape(ElementType type, int rank, int hiddenSize) {

    private static final int MAX_RANK = 256;

    // as in the kernels' fixed_shape.h
    private static final int FEATURE_UNIT = 8;
    private static final int NARROW_HIDDEN_SIZE = 4096;
    private static final int MAX_FIXED_RANK = 16;
    private static final int MAX_NARROW_FIXED_RANK = 32;

    /**
     * Constructs a new {@code KernelShape} instance.
     *
     * @param type the type of weights and activations, float16 or bfloat16
     * @param rank the adapters' rank, 1 to 256
     * @param hiddenSize the model's hidden size, 1 or more
     * @throws IllegalArgumentException if a value is not allowed
     */
    public KernelShape {
        if (type != ElementType.FLOAT16 && type != ElementType.BFLOAT16) {
            throw new IllegalArgumentException(
                    "There are no CUDA kernels for " + type + "; there are for float16, bfloat16");
        }
        if (rank < 1 || rank > MAX_RANK) {
            throw new IllegalArgumentException(
                    "The rank is " + rank + ", but it must be 1 to " + MAX_RANK);
        }
        if (hiddenSize < 1) {
            throw new IllegalArgumentException(
                    "The hidden size is " + hiddenSize + ", but it must be 1 or more");
        }
    }

    /**
     * Returns whether the kernels take a shorter way for this shape than for any other.
     *
     * @return whether compiling them for it can make them faster
     */
    public boolean isFixed() {
        int most = hiddenSize <= NARROW_HIDDEN_SIZE ? MAX_NARROW_FIXED_RANK : MAX_FIXED_RANK;
        return hiddenSize % FEATURE_UNIT == 0 && rank <= most;
    }

    /**
     * Returns the name of the file that holds the kernels.
     *
     * @return the name
     */
    public String sourceName() {
        return type == ElementType.FLOAT16 ? "sgmv_f16.cu" : "sgmv_bf16.cu";
    }

    /**
     * Returns the compiler's options that name the rank and the hidden size.
     *
     * @return the options
     */
    public List<String> options() {
        return List.of("-DDJL_LORA_RANK=" + rank, "-DDJL_LORA_HIDDEN=" + hiddenSize);
    }
}
