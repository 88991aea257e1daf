/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.generate.engine.GeneratedToken;
import ai.djl.lora.generate.engine.GenerationHandle;
import java.util.List;

/**
 * One answer that is read while it is written. The engine's thread turns tokens into text, to see
 * stop strings; readers are given the text of each token here.
 *
 * @param submission what the engine was given
 * @param handle what it has of the request
 */
record StreamedAnswer(TextSubmission submission, GenerationHandle handle) {

    /** Returns what a token adds to the text. */
    TextChunk chunk(GeneratedToken token) {
        return submission.chunk(0, token);
    }

    /** Returns the text of the tokens so far. */
    String textSoFar() {
        AnswerText text = submission.text(0);
        // null where it failed before it began
        return text == null ? "" : text.soFar();
    }

    /** Waits for the end, also of an answer that fails; whoever reads it is told. */
    void await() {
        handle.result().exceptionally(failure -> null).join();
    }

    /** Waits for the end, and returns the whole answer. */
    TextResult result() {
        return submission.finish(List.of(handle.join()));
    }
}
