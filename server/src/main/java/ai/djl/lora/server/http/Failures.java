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
import ai.djl.lora.generate.PromptTooLongException;
import ai.djl.lora.generate.engine.EngineBusyException;
import ai.djl.lora.generate.engine.EngineClosedException;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.regex.Pattern;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Says how a failure is told to the caller. The library's messages name files as the log wants
 * them; callers are told a file's own name alone.
 */
public final class Failures {

    private static final Logger logger = LoggerFactory.getLogger(Failures.class);
    private static final Map<String, String> SOON = Map.of("Retry-After", "1");

    /** A path from the root, its last part by itself. What comes behind a URL's scheme is none. */
    private static final Pattern PATH =
            Pattern.compile("(?<![\\w:/.@%-])/(?:[^\\s/:;,'\"()]+/)+([^\\s/:;,'\"()]*)");

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
            return known.getCause() == null ? known : scrubbed(known);
        }
        if (cause instanceof PromptTooLongException wrong) {
            return failure(400, "context_length_exceeded", wrong.getReason(), Map.of(), cause);
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
        if (cause instanceof EngineClosedException) {
            String told = "the request's engine has ended; ask again";
            return failure(503, "cancelled", told, SOON, cause);
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

    /* A failure that was made of another one may have its message. */
    private static HttpFailure scrubbed(HttpFailure known) {
        String message = String.valueOf(known.getMessage());
        String shown = withoutPaths(message);
        return shown.equals(message)
                ? known
                : new HttpFailure(
                        known.status(),
                        known.code(),
                        shown,
                        known.parameter(),
                        known.headers(),
                        known.getCause());
    }

    private static HttpFailure failure(
            int status, String code, String message, Map<String, String> headers, Throwable cause) {
        return new HttpFailure(
                status, code, withoutPaths(String.valueOf(message)), null, headers, cause);
    }

    /**
     * Returns a message without the folders of this machine.
     *
     * @param message the message, as the log has it
     * @return the message with each file's own name in place of its path
     */
    public static String withoutPaths(String message) {
        return PATH.matcher(message).replaceAll("$1");
    }
}
