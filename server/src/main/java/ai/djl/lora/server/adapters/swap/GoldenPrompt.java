/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters.swap;

import java.util.OptionalInt;

/**
 * A prompt, and what an adapter must answer to it when it takes the likeliest token each time.
 *
 * @param prompt the prompt
 * @param expected the answer
 * @param maxTokens after how many tokens the answer is cut; empty where it must end by itself
 */
public record GoldenPrompt(String prompt, String expected, OptionalInt maxTokens) {}
