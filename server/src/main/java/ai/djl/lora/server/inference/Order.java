/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

import ai.djl.lora.generate.sampling.SamplingParameters;
import java.util.List;

/**
 * What a request wants, beside the adapter.
 *
 * @param body the fields of its body
 * @param further objects of the body, fields of which may name the adapter too
 * @param model the model that it asks for; null where it names none
 * @param prompts what is to be answered, at least one
 * @param sampling how tokens are chosen
 * @param stream whether the answer is sent while it is written
 */
public record Order(
        BodyFields body,
        List<BodyFields> further,
        String model,
        List<Prompt> prompts,
        SamplingParameters sampling,
        boolean stream) {

    /**
     * Constructs a new {@code Order} instance.
     *
     * @param body the fields of its body
     * @param further objects of the body, fields of which may name the adapter too
     * @param model the model that it asks for; null where it names none
     * @param prompts what is to be answered, at least one
     * @param sampling how tokens are chosen
     * @param stream whether the answer is sent while it is written
     */
    public Order {
        further = List.copyOf(further);
        prompts = List.copyOf(prompts);
        if (stream && sampling.bestOf() > sampling.n()) {
            throw body.wrong(
                    "best_of",
                    "is "
                            + sampling.bestOf()
                            + " and n is "
                            + sampling.n()
                            + "; which answers are the best is known in the end, so they must be"
                            + " equal where stream is true");
        }
    }
}
