/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate;

/** Why a sequence ended. */
public enum FinishReason {
    /** The model wrote one of its end-of-text tokens. */
    STOP,
    /** The number of new tokens asked for, or the last position of the model, was reached. */
    LENGTH
}
