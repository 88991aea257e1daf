/*
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * What DJL's Criteria finds models in Hugging Face layout through: repositories for folders and for
 * the packaged demo model, and a model zoo. They give DJL the block factory of {@code
 * ai.djl.lora.model} where the user named none.
 */
package ai.djl.lora.zoo;
