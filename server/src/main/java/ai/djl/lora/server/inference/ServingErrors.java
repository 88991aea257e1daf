/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

import ai.djl.lora.server.http.ErrorFormat;
import ai.djl.lora.server.http.HttpFailure;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;

/** Errors as DJL Serving has them: {@code {"code","type","message"}}. */
final class ServingErrors implements ErrorFormat {

    /** {@inheritDoc} */
    @Override
    public JsonElement write(HttpFailure failure) {
        JsonObject error = new JsonObject();
        error.addProperty("code", failure.status());
        error.addProperty("type", type(failure.status()));
        error.addProperty("message", failure.getMessage());
        return error;
    }

    private static String type(int status) {
        return switch (status) {
            case 404 -> "ModelNotFoundException";
            case 405 -> "MethodNotAllowedException";
            case 429, 503 -> "ServiceUnavailableException";
            default -> status < 500 ? "BadRequestException" : "InternalServerException";
        };
    }
}
