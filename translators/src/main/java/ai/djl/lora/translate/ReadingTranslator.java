/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.LoraException;
import ai.djl.lora.generate.ReadRequest;
import ai.djl.lora.generate.engine.GenerationEngine;
import ai.djl.ndarray.NDList;
import ai.djl.translate.TranslateException;
import ai.djl.translate.Translator;
import ai.djl.translate.TranslatorContext;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/**
 * Has texts read by the model's engine, each by the adapter that it names; {@code batchPredict}
 * reads all of them in common steps. How it stands to DJL's predictor is said at {@link
 * TextGenerationTranslator}.
 *
 * @param <I> what a text is given as
 * @param <R> what the engine answers
 * @param <O> what the user is given
 */
final class ReadingTranslator<I, R, O> implements Translator<I, O> {

    private static final String REQUESTS = "ai.djl.lora.readRequests";

    private final Encoder<I, R> encoder;
    private final Function<R, O> answer;

    /**
     * Turns an input into tokens.
     *
     * @param <I> what a text is given as
     * @param <R> what the engine answers
     */
    interface Encoder<I, R> {

        /**
         * Turns an input into tokens.
         *
         * @param index the input's place in its batch
         * @param input the input
         * @return the request
         */
        ReadRequest<R> encode(int index, I input);
    }

    /**
     * Constructs a new {@code ReadingTranslator} instance.
     *
     * @param encoder turns inputs into tokens
     * @param answer makes what the user is given
     */
    ReadingTranslator(Encoder<I, R> encoder, Function<R, O> answer) {
        this.encoder = encoder;
        this.answer = answer;
    }

    /** {@inheritDoc} */
    @Override
    public NDList batchProcessInput(TranslatorContext ctx, List<I> inputs)
            throws TranslateException {
        try {
            List<ReadRequest<R>> requests = new ArrayList<>(inputs.size());
            for (I input : inputs) {
                requests.add(encoder.encode(requests.size(), input));
            }
            ctx.setAttachment(REQUESTS, requests);
            return new NDList();
        } catch (LoraException e) {
            throw new TranslateException(e.getMessage(), e);
        }
    }

    /** {@inheritDoc} */
    @Override
    @SuppressWarnings("unchecked")
    public List<O> batchProcessOutput(TranslatorContext ctx, NDList list)
            throws TranslateException {
        try {
            GenerationEngine engine =
                    GenerationEngine.of(TextGenerationTranslator.model(ctx.getBlock()));
            return engine.readAll((List<ReadRequest<R>>) ctx.getAttachment(REQUESTS)).stream()
                    .map(answer)
                    .toList();
        } catch (LoraException e) {
            throw new TranslateException(e.getMessage(), e);
        }
    }

    /** {@inheritDoc} */
    @Override
    public NDList processInput(TranslatorContext ctx, I input) throws TranslateException {
        return batchProcessInput(ctx, List.of(input));
    }

    /** {@inheritDoc} */
    @Override
    public O processOutput(TranslatorContext ctx, NDList list) throws TranslateException {
        return batchProcessOutput(ctx, list).get(0);
    }
}
