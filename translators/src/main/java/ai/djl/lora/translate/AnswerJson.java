/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.LoraAdapterNotFoundException;
import ai.djl.lora.LoraBackendException;
import ai.djl.lora.LoraException;
import ai.djl.lora.LoraMemoryException;
import ai.djl.lora.cache.Substitution;
import ai.djl.lora.generate.GenerationRequestException;
import ai.djl.lora.generate.engine.EngineBusyException;
import ai.djl.modality.Output;
import ai.djl.ndarray.BytesSupplier;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.util.Locale;
import java.util.Optional;

/** What every answer of a serving translator has. */
final class AnswerJson {

    private static final int BAD_REQUEST = 400;
    private static final int FAILED_DEPENDENCY = 424;
    private static final int BUSY = 503;
    private static final int INSUFFICIENT_STORAGE = 507;

    private AnswerJson() {}

    /** Says who answered. */
    static void addAdapter(
            JsonObject answer,
            String adapter,
            String revision,
            Optional<Substitution> substitution) {
        answer.addProperty("adapter", adapter);
        answer.addProperty("adapter_revision", revision);
        substitution.ifPresent(
                other -> {
                    String by = other.by().name();
                    answer.addProperty("substituted_by", by.toLowerCase(Locale.ROOT));
                    answer.addProperty("substitution_reason", other.reason());
                });
    }

    /** Returns an output of code 200 with a JSON body. */
    static Output output(JsonElement body) {
        Output output = new Output();
        output.addProperty("Content-Type", "application/json");
        output.add(BytesSupplier.wrapAsJson(body));
        return output;
    }

    /**
     * Returns the output that tells a client what is wrong with its request: code 400, or 424 where
     * there is no such adapter.
     *
     * @param error what is wrong
     * @param list whether the request had a list, in which places mean something
     */
    static Output badRequest(RuntimeException error, boolean list) {
        if (error.getCause() instanceof LoraAdapterNotFoundException) {
            return failedDependency(error, list);
        }
        return error(BAD_REQUEST, "BadRequestException", reason(error, list));
    }

    /** Returns the output that tells a client that its adapter cannot be had. */
    static Output failedDependency(RuntimeException error) {
        return failedDependency(error, false);
    }

    /**
     * Returns the output of a request that was sound and failed, if it is known why.
     *
     * @param error why it failed
     * @param adapters whether it names adapters
     * @throws LoraException the failure, if neither adapters nor memory nor the queue are at fault
     */
    static Output failure(LoraException error, boolean adapters) {
        if (error instanceof EngineBusyException) {
            return busy(error);
        }
        if (error instanceof LoraMemoryException) {
            return error(INSUFFICIENT_STORAGE, "InsufficientStorageException", error.getMessage());
        }
        if (error instanceof LoraBackendException || !adapters) {
            throw error;
        }
        return failedDependency(error);
    }

    private static Output failedDependency(RuntimeException error, boolean list) {
        return error(FAILED_DEPENDENCY, "FailedDependencyException", reason(error, list));
    }

    private static String reason(RuntimeException error, boolean list) {
        return error instanceof GenerationRequestException e && !list
                ? e.getReason()
                : error.getMessage();
    }

    /** Returns the output that tells a client to come back later. */
    static Output busy(RuntimeException error) {
        return error(BUSY, "ServiceUnavailableException", error.getMessage());
    }

    /** Returns the output of a failure, with its reason as the status and as a JSON body. */
    static Output error(int code, String type, String reason) {
        // The message becomes HTTP's reason phrase, which has no line breaks.
        String message = reason.replaceAll("\\p{Cntrl}", " ");
        Output output = new Output(code, message);
        output.addProperty("Content-Type", "application/json");
        JsonObject body = new JsonObject();
        body.addProperty("code", code);
        body.addProperty("type", type);
        body.addProperty("message", message);
        output.add(BytesSupplier.wrapAsJson(body));
        return output;
    }

    /** Returns what is said of a failure, without line breaks. */
    static String oneLine(Throwable failure) {
        return String.valueOf(failure.getMessage()).replaceAll("\\p{Cntrl}", " ");
    }
}
