/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters.swap;

import ai.djl.lora.server.http.ErrorFormat;
import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.server.http.OpenAiErrors;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;

/** Errors as other routes have them, with the {@code step} that failed where there is one. */
public final class SwapErrors implements ErrorFormat {

    private final ErrorFormat base = new OpenAiErrors();

    /** {@inheritDoc} */
    @Override
    public JsonElement write(HttpFailure failure) {
        JsonObject written = base.write(failure).getAsJsonObject();
        if (failure instanceof SwapFailure swap) {
            written.getAsJsonObject("error").addProperty("step", swap.step().toString());
        }
        return written;
    }
}
