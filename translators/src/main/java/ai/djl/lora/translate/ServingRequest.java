/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import java.util.List;

/**
 * What a serving {@code Input} asks for.
 *
 * @param requests one request for each prompt, or one for a conversation
 * @param list whether the prompts came as a list, and so do the answers
 */
record ServingRequest(List<GenerationInput> requests, boolean list) {}
