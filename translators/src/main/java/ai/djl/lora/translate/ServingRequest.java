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
 * @param stream whether the answer, of which there is one then, is wanted while it is written
 */
record ServingRequest(List<GenerationInput> requests, boolean list, boolean stream) {}
