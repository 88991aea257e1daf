/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.examples;

import ai.djl.lora.nn.AdaptedBlock;
import ai.djl.lora.translate.TextGenerationTranslatorFactory;
import ai.djl.lora.translate.TextRequest;
import ai.djl.lora.translate.TextResult;
import ai.djl.repository.zoo.Criteria;
import java.nio.file.Path;
import java.util.List;

/** Answers one prompt in one batch by two adapters and by the base model. */
public final class MixedBatch {

    private MixedBatch() {}

    /**
     * Prints the answers.
     *
     * @param args none; it is run in the repository's root
     * @throws Exception if the model cannot be loaded or run
     */
    public static void main(String[] args) throws Exception {
        var criteria =
                Criteria.builder()
                        .setTypes(TextRequest.class, TextResult.class)
                        .optModelPath(Path.of("examples/demo/base"))
                        .optTranslatorFactory(new TextGenerationTranslatorFactory())
                        .build();
        try (var model = criteria.loadModel();
                var predictor = model.newPredictor()) {
            var adapters = ((AdaptedBlock) model.getBlock()).getAdapters();
            adapters.register("upper", Path.of("examples/demo/upper"));
            adapters.register("reverse", Path.of("examples/demo/reverse"));
            var upper = new TextRequest("hello=", "upper");
            var reverse = new TextRequest("hello=", "reverse");
            var base = new TextRequest("hello=", "");
            for (TextResult result : predictor.batchPredict(List.of(upper, reverse, base))) {
                System.out.println(result.adapter() + ": " + result.text());
            }
        }
    }
}
