/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.translate.TextChunk;
import com.google.gson.JsonElement;
import java.util.List;

/**
 * Writes the answers to one request as its client expects them, as a whole or piece by piece. Each
 * instance is for one request; pieces are written one after the other.
 */
public interface AnswerFormat {

    /**
     * Writes the answers as a whole.
     *
     * @param answers the answers
     * @return the body
     */
    JsonElement whole(List<InputAnswer> answers);

    /**
     * Returns the type of the content that is sent piece by piece.
     *
     * @return the type
     */
    String streamType();

    /**
     * Writes what comes before all text.
     *
     * @param inputs who answers each input
     * @return the pieces
     */
    List<String> begin(List<InputBegin> inputs);

    /**
     * Writes what a token adds.
     *
     * @param input the input, from 0
     * @param choice which of the answers to it, from 0
     * @param chunk what the token adds
     * @return the piece; "" for none
     */
    String chunk(int input, int choice, TextChunk chunk);

    /**
     * Writes what comes behind all text.
     *
     * @param answers the answers
     * @return the pieces
     */
    List<String> end(List<InputAnswer> answers);

    /**
     * Writes why the text ends early.
     *
     * @param failure why
     * @return the last piece
     */
    String failure(HttpFailure failure);
}
