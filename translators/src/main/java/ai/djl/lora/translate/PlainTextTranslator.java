/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.ndarray.NDList;
import ai.djl.translate.TranslateException;
import ai.djl.translate.Translator;
import ai.djl.translate.TranslatorContext;
import java.util.List;

/** Answers plain strings, all by one adapter or by the base model. */
final class PlainTextTranslator implements Translator<String, String> {

    private final TextGenerationTranslator translator;
    private final String adapter;

    /**
     * Constructs a new {@code PlainTextTranslator} instance.
     *
     * @param translator does the work
     * @param adapter the name of the adapter, empty for the base model
     */
    PlainTextTranslator(TextGenerationTranslator translator, String adapter) {
        this.translator = translator;
        this.adapter = adapter;
    }

    /** {@inheritDoc} */
    @Override
    public NDList batchProcessInput(TranslatorContext ctx, List<String> inputs)
            throws TranslateException {
        return translator.batchProcessInput(
                ctx, inputs.stream().map(prompt -> new TextRequest(prompt, adapter)).toList());
    }

    /** {@inheritDoc} */
    @Override
    public List<String> batchProcessOutput(TranslatorContext ctx, NDList list)
            throws TranslateException {
        return translator.batchProcessOutput(ctx, list).stream().map(TextResult::text).toList();
    }

    /** {@inheritDoc} */
    @Override
    public NDList processInput(TranslatorContext ctx, String input) throws TranslateException {
        return batchProcessInput(ctx, List.of(input));
    }

    /** {@inheritDoc} */
    @Override
    public String processOutput(TranslatorContext ctx, NDList list) throws TranslateException {
        return batchProcessOutput(ctx, list).get(0);
    }
}
