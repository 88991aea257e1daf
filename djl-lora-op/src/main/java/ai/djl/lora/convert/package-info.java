/*
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * Writes adapters in other forms: as one packed file, as a folder of PEFT's, compared with another
 * adapter, or merged into the weights of their base model.
 */
package ai.djl.lora.convert;
