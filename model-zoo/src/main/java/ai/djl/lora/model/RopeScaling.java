/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

/**
 * How a model stretches its rotary position embedding to longer texts than it was first trained on.
 *
 * <p>The formulas are those of {@code modeling_rope_utils.py} of Hugging Face transformers, in
 * float32 as there, since at large positions the rounding of a frequency is seen in the result.
 */
public sealed interface RopeScaling {

    /**
     * Scales a frequency.
     *
     * @param inverseFrequency the angle between neighbouring positions without scaling, in radians
     * @return the angle with scaling
     */
    float scale(float inverseFrequency);

    /** No scaling. */
    record Unscaled() implements RopeScaling {

        /** {@inheritDoc} */
        @Override
        public float scale(float inverseFrequency) {
            return inverseFrequency;
        }
    }

    /**
     * Every frequency divided by one factor.
     *
     * @param factor the factor
     */
    record Linear(float factor) implements RopeScaling {

        /** {@inheritDoc} */
        @Override
        public float scale(float inverseFrequency) {
            return inverseFrequency / factor;
        }
    }

    /**
     * The scaling of Llama 3.1: waves that are long beside the original context are divided by the
     * factor, short ones left alone, and those between interpolated.
     *
     * @param factor the factor of the long waves
     * @param lowFreqFactor the original context divided by this is the shortest of the long waves
     * @param highFreqFactor the original context divided by this is the longest of the short waves
     * @param originalMaxPositions the original context in tokens
     */
    record Llama3(float factor, float lowFreqFactor, float highFreqFactor, int originalMaxPositions)
            implements RopeScaling {

        /** {@inheritDoc} */
        @Override
        public float scale(float inverseFrequency) {
            float wavelength = (float) (2 * Math.PI) / inverseFrequency;
            if (wavelength > originalMaxPositions / lowFreqFactor) {
                return inverseFrequency / factor;
            }
            if (wavelength < originalMaxPositions / highFreqFactor) {
                return inverseFrequency;
            }
            float smooth =
                    (originalMaxPositions / wavelength - lowFreqFactor)
                            / (highFreqFactor - lowFreqFactor);
            return (1 - smooth) * inverseFrequency / factor + smooth * inverseFrequency;
        }
    }
}
