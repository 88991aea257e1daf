/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import java.util.List;

/**
 * A user's own check of adapters. It takes part in each load and validation under a {@link
 * LoadingPolicy} that has it.
 */
@FunctionalInterface
public interface ValidationRule {

    /**
     * Looks at an adapter. Called once, when every tensor has been laid beside the model and none
     * has been read.
     *
     * @param subject the adapter, the model and what was found so far
     * @return what this rule has to say; an issue of severity {@link Severity#ERROR} refuses the
     *     adapter
     */
    List<Issue> check(ValidationSubject subject);
}
