/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

import ai.djl.lora.generate.engine.AnsweringRevision;

/**
 * Who answers an input.
 *
 * @param adapter the adapter's name in answers; "" for the base model
 * @param who the revision that answers, and in whose place
 * @param promptTokens the tokens of the prompt
 */
public record InputBegin(String adapter, AnsweringRevision who, int promptTokens) {}
