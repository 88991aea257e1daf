/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import ai.djl.lora.tensor.HostTensor;
import java.util.LinkedHashSet;
import java.util.Set;
import java.util.stream.Stream;

/**
 * What an adapter does to one linear layer, whatever the method by which it was trained:
 *
 * <pre>
 * y = outputScale * (magnitude / norm * (W' (inputScale * x) + scale * B (A x)) + bias' + shift)
 * </pre>
 *
 * where W' is {@code weight} or the layer's own, bias' is {@code bias} or the layer's own, and norm
 * the norms of the rows of {@code W' + scale * B A}. What is null is left out.
 *
 * @param variant the method as reports call it, such as {@code LoRA} or {@code DoRA}
 * @param product the low-rank product, or null
 * @param magnitude DoRA's magnitudes [out] (arXiv 2402.09353), or null
 * @param outputScale IA3's factors of the output (arXiv 2205.05638) [out], which also scale the
 *     bias; or null
 * @param inputScale IA3's factors of a feed-forward layer's input [in], or null
 * @param bias what replaces the layer's bias [out], or null
 * @param shift what is added to the bias [out], or null
 * @param weight what replaces the layer's weight [out, in], or null
 */
public record LinearChange(
        String variant,
        LoraWeights product,
        HostTensor magnitude,
        HostTensor outputScale,
        HostTensor inputScale,
        HostTensor bias,
        HostTensor shift,
        HostTensor weight) {

    /**
     * Returns the change that a low-rank product makes.
     *
     * @param variant the method's name
     * @param product the product
     * @return the change
     */
    public static LinearChange ofProduct(String variant, LoraWeights product) {
        return new LinearChange(variant, product, null, null, null, null, null, null);
    }

    /**
     * Returns whether the change is a sum with the base's output, so that several adapters' changes
     * may be weighted and added.
     *
     * @return whether there is nothing but a product
     */
    public boolean isProductOnly() {
        return product != null
                && magnitude == null
                && outputScale == null
                && inputScale == null
                && bias == null
                && shift == null
                && weight == null;
    }

    /** Returns the change of the input and the weight alone. */
    LinearChange besideProduct() {
        return new LinearChange(variant, null, null, null, inputScale, null, null, weight);
    }

    /** Returns the tensors, with null for those that are not there. */
    Stream<HostTensor> tensors() {
        return Stream.of(
                product == null ? null : product.a(),
                product == null ? null : product.b(),
                magnitude,
                outputScale,
                inputScale,
                bias,
                shift,
                weight);
    }

    /** Collects what several parts of an adapter do to one layer. */
    public static final class Builder {

        private final Set<String> variants = new LinkedHashSet<>();
        private LoraWeights product;
        private HostTensor magnitude;
        private HostTensor outputScale;
        private HostTensor inputScale;
        private HostTensor bias;
        private HostTensor shift;
        private HostTensor weight;

        Builder() {}

        /**
         * Adds a method's name.
         *
         * @param variant the name as reports call it
         * @return this builder
         */
        public Builder addVariant(String variant) {
            variants.add(variant);
            return this;
        }

        /**
         * Sets the low-rank product.
         *
         * @param product the product
         * @return this builder
         */
        public Builder optProduct(LoraWeights product) {
            this.product = product;
            return this;
        }

        /**
         * Sets DoRA's magnitudes.
         *
         * @param magnitude [out]
         * @return this builder
         */
        public Builder optMagnitude(HostTensor magnitude) {
            this.magnitude = magnitude;
            return this;
        }

        /**
         * Sets the factors of the output.
         *
         * @param outputScale [out]
         * @return this builder
         */
        public Builder optOutputScale(HostTensor outputScale) {
            this.outputScale = outputScale;
            return this;
        }

        /**
         * Sets the factors of the input.
         *
         * @param inputScale [in]
         * @return this builder
         */
        public Builder optInputScale(HostTensor inputScale) {
            this.inputScale = inputScale;
            return this;
        }

        /**
         * Sets what replaces the layer's bias.
         *
         * @param bias [out]
         * @return this builder
         */
        public Builder optBias(HostTensor bias) {
            this.bias = bias;
            return this;
        }

        /**
         * Sets what is added to the bias.
         *
         * @param shift [out]
         * @return this builder
         */
        public Builder optShift(HostTensor shift) {
            this.shift = shift;
            return this;
        }

        /**
         * Sets what replaces the layer's weight.
         *
         * @param weight [out, in]
         * @return this builder
         */
        public Builder optWeight(HostTensor weight) {
            this.weight = weight;
            return this;
        }

        LinearChange build() {
            return new LinearChange(
                    String.join(", ", variants),
                    product,
                    magnitude,
                    outputScale,
                    inputScale,
                    bias,
                    shift,
                    weight);
        }
    }
}
