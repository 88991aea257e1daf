/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.openai;

import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.server.inference.BodyFields;
import ai.djl.lora.server.inference.SamplingReader;
import com.google.gson.JsonPrimitive;
import java.util.List;
import java.util.Optional;

/** What the bodies of completions and of conversations have in common. */
final class OpenAiFields {

    /** Fields that change nothing about an answer, as OpenAI documents them. */
    private static final List<String> HARMLESS =
            List.of(
                    "user",
                    "store",
                    "metadata",
                    "service_tier",
                    "safety_identifier",
                    "prompt_cache_key",
                    "prompt_cache_retention");

    private OpenAiFields() {}

    /** Returns the sampling of a request that says nothing of it, as OpenAI has it. */
    static SamplingParameters defaults(SamplingParameters server, int maxTokens) {
        return server.toBuilder()
                .temperature(1)
                .topP(1)
                .minNewTokens(0)
                .maxNewTokens(maxTokens)
                .build();
    }

    /** Reads how tokens are chosen, without {@code logprobs}. */
    static SamplingParameters sampling(BodyFields body, SamplingParameters defaults) {
        return SamplingReader.read(body, defaults);
    }

    static void ignoreHarmless(BodyFields body) {
        body.ignore(HARMLESS);
    }

    /** Returns whether a stream ends with how many tokens there were. */
    static boolean includeUsage(BodyFields body, boolean stream) {
        Optional<BodyFields> options = body.object("stream_options");
        if (options.isEmpty()) {
            return false;
        }
        if (!stream) {
            throw body.wrong("stream_options", "is given and stream is not true");
        }
        boolean usage = options.get().flag("include_usage", false);
        // asks for padding that hides lengths from eavesdroppers of OpenAI's own service
        options.get().refuse("include_obfuscation", new JsonPrimitive(false), "it must be false");
        options.get().end();
        return usage;
    }

    /** Returns the model that is asked for; null for none. */
    static String model(BodyFields body) {
        return body.text("model").orElse(null);
    }

    static HttpFailure missing(BodyFields body, String field, String needed) {
        return body.wrong(field, "is missing; " + needed + " is needed");
    }
}
