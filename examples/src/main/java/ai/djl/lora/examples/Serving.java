/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.examples;

import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.server.LoraServer;
import ai.djl.lora.server.model.ServedModel;
import dev.langchain4j.model.openai.OpenAiChatModel;
import java.nio.file.Path;
import java.util.Map;

/** Serves a model with two adapters in this process, and talks to it by LangChain4j. */
public final class Serving {

    private Serving() {}

    /**
     * Prints the answers.
     *
     * @param args none; it is run in the repository's root
     * @throws Exception if the model cannot be loaded or served
     */
    public static void main(String[] args) throws Exception {
        var demo = Path.of("examples/demo");
        var model =
                ServedModel.load(
                        "demo", demo.resolve("base"), Map.of(), SamplingParameters.greedy(32));
        model.adapters().register("upper", demo.resolve("upper"));
        model.adapters().register("reverse", demo.resolve("reverse"));
        try (var server = LoraServer.builder().setModel(model).build().start()) {
            for (String adapter : new String[] {"upper", "reverse"}) {
                var chat =
                        OpenAiChatModel.builder()
                                .baseUrl(server.uri() + "/v1")
                                .apiKey("none")
                                .modelName(adapter)
                                .temperature(0.0)
                                .build();
                System.out.println(adapter + ": " + chat.chat("hello"));
            }
        }
    }
}
