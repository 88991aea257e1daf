/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.ModelException;
import ai.djl.inference.Predictor;
import ai.djl.lora.model.CausalLanguageModel;
import ai.djl.modality.Input;
import ai.djl.repository.zoo.Criteria;
import ai.djl.repository.zoo.ZooModel;
import ai.djl.translate.TranslateException;
import ai.djl.translate.TranslatorFactory;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;

/** The demo model with two of its adapters, as users of Criteria have it. */
final class DemoModel implements AutoCloseable {

    static final Path FOLDER = Path.of("../examples/demo");

    private final ZooModel<TextRequest, TextResult> model;

    DemoModel() throws IOException, ModelException {
        model =
                Criteria.builder()
                        .setTypes(TextRequest.class, TextResult.class)
                        .optModelPath(FOLDER.resolve("base"))
                        .optTranslatorFactory(new TextGenerationTranslatorFactory())
                        .optArgument("dtype", "float32")
                        .optArgument("max_new_tokens", 16)
                        .build()
                        .loadModel();
        for (String adapter : new String[] {"upper", "reverse"}) {
            block().getAdapters().register(adapter, FOLDER.resolve(adapter));
        }
    }

    CausalLanguageModel block() {
        return (CausalLanguageModel) model.getBlock();
    }

    Predictor<TextRequest, TextResult> texts() {
        return model.newPredictor();
    }

    <I, O> Predictor<I, O> predictor(
            TranslatorFactory factory, Class<I> input, Class<O> output, Map<String, ?> arguments)
            throws TranslateException {
        return model.newPredictor(factory.newInstance(input, output, model, arguments));
    }

    static Input json(String body) {
        Input input = new Input();
        input.addProperty("Content-Type", "application/json");
        input.add(body.replace('\'', '"'));
        return input;
    }

    @Override
    public void close() {
        model.close();
    }
}
