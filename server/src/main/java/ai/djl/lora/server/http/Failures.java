/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.http;

import ai.djl.lora.LoraCompatibilityException;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraMemoryException;
import ai.djl.lora.LoraOffloadException;
import ai.djl.lora.LoraVariantException;
import ai.djl.lora.generate.GenerationRequestException;
import ai.djl.lora.generate.engine.EngineBusyException;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Says how a failure is told to the caller. */
public final class Failures {

    private static final Logger logger = LoggerFactory.getLogger(Failures.class);
    private static final Map<String, String> SOON = Map.of("Retry-After", "1");

    private Failures() {}

    /**
     * Returns how a failure is told to the caller. One that nobody expected is logged, and its
     * caller is told no more than the request's id.
     *
     * @param requestId the request's id
     * @param failure what was thrown
     * @return the failure to tell
     */
    public static HttpFailure of(String requestId, Throwable failure) {
        Throwable cause = failure;
        while ((cause instanceof CompletionException || cause instanceof ExecutionException)
                && cause.getCause() != null) {
            cause = cause.getCause();
        }
        if (cause instanceof HttpFailure known) {
            return known;
        }
        if (cause instanceof GenerationRequestException wrong) {
            return failure(400, "invalid_request", wrong.getReason(), Map.of(), cause);
        }
        if (cause instanceof LoraConfigurationException) {
            return failure(400, "invalid_request", cause.getMessage(), Map.of(), cause);
        }
        if (cause instanceof LoraCompatibilityException || cause instanceof LoraVariantException) {
            return failure(422, "adapter_does_not_fit", cause.getMessage(), Map.of(), cause);
        }
        if (cause instanceof EngineBusyException) {
            return failure(429, "queue_full", cause.getMessage(), SOON, cause);
        }
        if (cause instanceof LoraMemoryException || cause instanceof LoraOffloadException) {
            return failure(503, "out_of_memory", cause.getMessage(), SOON, cause);
        }
        if (cause instanceof CancellationException) {
            return failure(503, "cancelled", "the request was cancelled", SOON, cause);
        }
        logger.error("Request {} failed", requestId, cause);
        return failure(
                500,
                "internal_error",
                "the request failed; the server's log has the reason under " + requestId,
                Map.of(),
                cause);
    }

    private static HttpFailure failure(
            int status, String code, String message, Map<String, String> headers, Throwable cause) {
        return new HttpFailure(status, code, message, null, headers, cause);
    }
}
