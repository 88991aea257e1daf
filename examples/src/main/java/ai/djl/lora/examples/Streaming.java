/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.examples;

import ai.djl.lora.generate.ScoringResult;
import ai.djl.lora.translate.ScoringInput;
import ai.djl.lora.translate.ScoringTranslatorFactory;
import ai.djl.lora.translate.TextGenerationTranslatorFactory;
import ai.djl.lora.translate.TextRequest;
import ai.djl.lora.translate.TextStream;
import ai.djl.repository.zoo.Criteria;
import java.nio.file.Path;
import java.util.Map;

/** Reads an answer while it is written, and asks how likely it was; both by one engine. */
public final class Streaming {

    private Streaming() {}

    /**
     * Prints the answer and whether it was the most likely one.
     *
     * @param args none; it is run in the repository's root
     * @throws Exception if the model cannot be loaded or run
     */
    public static void main(String[] args) throws Exception {
        var criteria =
                Criteria.builder()
                        .setTypes(TextRequest.class, TextStream.class)
                        .optModelPath(Path.of("examples/demo/base"))
                        .optTranslatorFactory(new TextGenerationTranslatorFactory())
                        .optArgument("adapters", "upper=examples/demo/upper")
                        .build();
        try (var model = criteria.loadModel();
                var predictor = model.newPredictor()) {
            var request = new TextRequest("hello=", "upper");
            var answer = predictor.streamingPredict(request).getIterativeOutput();
            answer.forEachRemaining(chunk -> System.out.print(chunk.text() + "|"));
            var scoring = new ScoringTranslatorFactory();
            var input = new ScoringInput("hello=", "HELLO", "upper");
            var translator =
                    scoring.newInstance(ScoringInput.class, ScoringResult.class, model, Map.of());
            try (var scorer = model.newPredictor(translator)) {
                System.out.println(" most likely: " + scorer.predict(input).isGreedy());
            }
        }
    }
}
