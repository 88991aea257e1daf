/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

import ai.djl.lora.generate.EmbeddingResult;

/**
 * The vector of an input.
 *
 * @param adapter the adapter's name in answers; "" for the base model
 * @param result the vector, and who made it
 */
public record InputVector(String adapter, EmbeddingResult result) {}
