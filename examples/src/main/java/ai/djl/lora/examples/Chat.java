/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.examples;

import ai.djl.lora.nn.AdaptedBlock;
import ai.djl.lora.translate.ChatMessage;
import ai.djl.lora.translate.ChatRequest;
import ai.djl.lora.translate.TextGenerationTranslatorFactory;
import ai.djl.lora.translate.TextResult;
import ai.djl.repository.zoo.Criteria;
import java.nio.file.Path;
import java.util.List;

/** Holds two conversations in one batch, each with another adapter. */
public final class Chat {

    private Chat() {}

    /**
     * Prints the answers.
     *
     * @param args none; it is run in the repository's root
     * @throws Exception if the model cannot be loaded or run
     */
    public static void main(String[] args) throws Exception {
        var criteria =
                Criteria.builder()
                        .setTypes(ChatRequest.class, TextResult.class)
                        .optModelPath(Path.of("examples/demo/base"))
                        .optTranslatorFactory(new TextGenerationTranslatorFactory())
                        .build();
        try (var model = criteria.loadModel();
                var predictor = model.newPredictor()) {
            var adapters = ((AdaptedBlock) model.getBlock()).getAdapters();
            adapters.register("upper", Path.of("examples/demo/upper"));
            adapters.register("reverse", Path.of("examples/demo/reverse"));
            var messages = List.of(ChatMessage.user("hello"));
            var upper = new ChatRequest(messages, "upper");
            var reverse = new ChatRequest(messages, "reverse");
            for (TextResult result : predictor.batchPredict(List.of(upper, reverse))) {
                System.out.println(result.adapter() + ": " + result.text());
            }
        }
    }
}
