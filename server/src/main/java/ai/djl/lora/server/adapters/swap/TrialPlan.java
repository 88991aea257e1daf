/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters.swap;

import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * How a revision is tried before requests get it.
 *
 * @param smokePrompt a prompt that must be answered, whatever the answer is; empty for none
 * @param golden prompts whose answers are known
 * @param logits tokens whose probabilities are known; empty for none
 * @param time how long all answers may take together
 */
public record TrialPlan(
        Optional<String> smokePrompt,
        List<GoldenPrompt> golden,
        Optional<GoldenFile> logits,
        Duration time) {

    /** What is asked where nothing else is said. */
    public static final String DEFAULT_PROMPT = "Hello";

    /** How long a trial may take where nothing else is said. */
    public static final Duration DEFAULT_TIME = Duration.ofSeconds(60);

    /** A prompt, and nothing that is known of its answer. */
    public static final TrialPlan SMOKE =
            new TrialPlan(Optional.of(DEFAULT_PROMPT), List.of(), Optional.empty(), DEFAULT_TIME);

    /**
     * Constructs a new {@code TrialPlan} instance.
     *
     * @param smokePrompt a prompt that must be answered; empty for none
     * @param golden prompts whose answers are known
     * @param logits tokens whose probabilities are known; empty for none
     * @param time how long all answers may take together
     */
    public TrialPlan {
        golden = List.copyOf(golden);
    }
}
