/*
 * SPDX-License-Identifier: Apache-2.0
 */
/** The model zoo through which DJL's Criteria finds models in Hugging Face layout. */
package ai.djl.lora.zoo;
