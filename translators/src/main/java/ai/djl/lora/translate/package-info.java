/*
 * SPDX-License-Identifier: Apache-2.0
 */
/** DJL translators from text to text over djl-lora models, and their tokenizers. */
package ai.djl.lora.translate;
