/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.inference.streaming.StreamingTranslator;
import ai.djl.lora.LoraException;
import ai.djl.ndarray.NDList;
import ai.djl.translate.TranslateException;
import ai.djl.translate.TranslatorContext;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Stream;

/**
 * Begins answers that are read while they are written: {@code predict} and {@code streamingPredict}
 * return when the request was taken, {@code batchPredict} when all were, or none.
 *
 * @param <I> what a text is generated for
 */
final class TextStreamTranslator<I> implements StreamingTranslator<I, TextStream> {

    private final TextGenerationTranslator translator;
    private final Function<I, GenerationInput> inputs;

    /**
     * Constructs a new {@code TextStreamTranslator} instance.
     *
     * @param translator does the work
     * @param inputs says what an input asks for
     */
    TextStreamTranslator(TextGenerationTranslator translator, Function<I, GenerationInput> inputs) {
        this.translator = translator;
        this.inputs = inputs;
    }

    /** {@inheritDoc} */
    @Override
    public Support getSupport() {
        return Support.BOTH;
    }

    /** {@inheritDoc} */
    @Override
    public NDList batchProcessInput(TranslatorContext ctx, List<I> given)
            throws TranslateException {
        try {
            return translator.prepare(ctx, given.stream().map(inputs).toList());
        } catch (LoraException e) {
            throw new TranslateException(e.getMessage(), e);
        }
    }

    /** {@inheritDoc} */
    @Override
    public List<TextStream> batchProcessOutput(TranslatorContext ctx, NDList list)
            throws TranslateException {
        try {
            return translator.begin(ctx).stream().map(TextStream::new).toList();
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
    public TextStream processOutput(TranslatorContext ctx, NDList list) throws TranslateException {
        return batchProcessOutput(ctx, list).get(0);
    }

    /** {@inheritDoc} */
    @Override
    public StreamOutput<TextStream> processStreamOutput(TranslatorContext ctx, Stream<NDList> list)
            throws TranslateException {
        // the answer has no need of the context, which ends with the block's empty stream
        try (list) {
            TextStream stream = processOutput(ctx, new NDList());
            return new StartedOutput<>(() -> stream, TextStream::await);
        }
    }
}
