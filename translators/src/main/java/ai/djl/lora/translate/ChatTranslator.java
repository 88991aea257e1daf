/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.LoraException;
import ai.djl.ndarray.NDList;
import ai.djl.translate.TranslateException;
import ai.djl.translate.Translator;
import ai.djl.translate.TranslatorContext;
import java.util.List;

/**
 * Says the next thing in conversations, each by the adapter that it names; {@code batchPredict}
 * answers all of them as one mixed batch.
 */
final class ChatTranslator implements Translator<ChatRequest, TextResult> {

    private final TextGenerationTranslator translator;

    /**
     * Constructs a new {@code ChatTranslator} instance.
     *
     * @param translator does the work
     */
    ChatTranslator(TextGenerationTranslator translator) {
        this.translator = translator;
    }

    /** {@inheritDoc} */
    @Override
    public NDList batchProcessInput(TranslatorContext ctx, List<ChatRequest> inputs)
            throws TranslateException {
        try {
            return translator.prepare(ctx, inputs);
        } catch (LoraException e) {
            throw new TranslateException(e.getMessage(), e);
        }
    }

    /** {@inheritDoc} */
    @Override
    public List<TextResult> batchProcessOutput(TranslatorContext ctx, NDList list)
            throws TranslateException {
        return translator.batchProcessOutput(ctx, list);
    }

    /** {@inheritDoc} */
    @Override
    public NDList processInput(TranslatorContext ctx, ChatRequest input) throws TranslateException {
        return batchProcessInput(ctx, List.of(input));
    }

    /** {@inheritDoc} */
    @Override
    public TextResult processOutput(TranslatorContext ctx, NDList list) throws TranslateException {
        return batchProcessOutput(ctx, list).get(0);
    }
}
