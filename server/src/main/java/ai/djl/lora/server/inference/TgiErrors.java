/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

import ai.djl.lora.server.http.ErrorFormat;
import ai.djl.lora.server.http.HttpFailure;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;

/** Errors as Text Generation Inference has them: {@code {"error","error_type"}}. */
final class TgiErrors implements ErrorFormat {

    /** {@inheritDoc} */
    @Override
    public JsonElement write(HttpFailure failure) {
        JsonObject error = new JsonObject();
        error.addProperty("error", failure.getMessage());
        String type =
                switch (failure.status()) {
                    case 429 -> "overloaded";
                    default -> failure.status() < 500 ? "validation" : "generation";
                };
        error.addProperty("error_type", type);
        error.addProperty("code", failure.code());
        return error;
    }
}
