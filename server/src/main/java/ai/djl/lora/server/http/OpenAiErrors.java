/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.http;

import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;

/** Errors as OpenAI's API has them: {@code {"error":{"message","type","param","code"}}}. */
public final class OpenAiErrors implements ErrorFormat {

    /** {@inheritDoc} */
    @Override
    public JsonElement write(HttpFailure failure) {
        JsonObject error = new JsonObject();
        error.addProperty("message", failure.getMessage());
        error.addProperty("type", type(failure.status()));
        if (failure.parameter() == null) {
            error.add("param", JsonNull.INSTANCE);
        } else {
            error.addProperty("param", failure.parameter());
        }
        error.addProperty("code", failure.code());
        JsonObject body = new JsonObject();
        body.add("error", error);
        return body;
    }

    private static String type(int status) {
        return switch (status) {
            case 401 -> "authentication_error";
            case 403 -> "permission_error";
            case 404 -> "not_found_error";
            case 429 -> "rate_limit_error";
            default -> status < 500 ? "invalid_request_error" : "server_error";
        };
    }
}
