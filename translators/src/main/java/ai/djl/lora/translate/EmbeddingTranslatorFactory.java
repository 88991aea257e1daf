/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.Model;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraException;
import ai.djl.lora.generate.EmbeddingRequest;
import ai.djl.lora.generate.EmbeddingResult;
import ai.djl.lora.generate.Pooling;
import ai.djl.modality.Input;
import ai.djl.modality.Output;
import ai.djl.translate.ArgumentsUtil;
import ai.djl.translate.TranslateException;
import ai.djl.translate.Translator;
import ai.djl.translate.TranslatorFactory;
import ai.djl.util.Pair;
import java.io.Serializable;
import java.lang.reflect.Type;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;

/**
 * Makes the translators that make vectors of texts.
 *
 * <p>The pairs are ({@link EmbeddingInput}, {@link EmbeddingResult}), where each text names its
 * adapter; (String, float[]), where the argument {@code adapter} names one for all and none means
 * the base model; ({@link EmbeddingRequest}, {@link EmbeddingResult}) for token ids; and ({@link
 * Input}, {@link Output}) for DJL Serving. As with DJL's {@code TextEmbeddingTranslatorFactory} the
 * arguments {@code pooling} ({@code mean}, which is the default, {@code weightedmean} or {@code
 * lasttoken}) and {@code normalize} (true by default) say what the vector is. The arguments that
 * say something of the model's engine are those of {@link TextGenerationTranslatorFactory}.
 *
 * <p>The tokenizer is the {@code tokenizer.json} in the model's folder. It belongs to the model and
 * is closed with it.
 */
public final class EmbeddingTranslatorFactory implements TranslatorFactory, Serializable {

    private static final long serialVersionUID = 1L;

    private static final Set<Pair<Type, Type>> SUPPORTED_TYPES =
            Set.of(
                    new Pair<>(EmbeddingInput.class, EmbeddingResult.class),
                    new Pair<>(EmbeddingRequest.class, EmbeddingResult.class),
                    new Pair<>(String.class, float[].class),
                    new Pair<>(Input.class, Output.class));

    /** {@inheritDoc} */
    @Override
    public Set<Pair<Type, Type>> getSupportedTypes() {
        return SUPPORTED_TYPES;
    }

    /** {@inheritDoc} */
    @Override
    @SuppressWarnings("unchecked")
    public <I, O> Translator<I, O> newInstance(
            Class<I> input, Class<O> output, Model model, Map<String, ?> arguments)
            throws TranslateException {
        if (!isSupported(input, output)) {
            throw new IllegalArgumentException(
                    "unsupported types: " + input + " to " + output + "; see getSupportedTypes()");
        }
        try {
            Pooling pooling = pooling(arguments);
            boolean normalize = normalize(arguments);
            EngineArguments.apply(model, arguments);
            if (input == EmbeddingRequest.class) {
                // the engine checks token ids itself
                return (Translator<I, O>)
                        new ReadingTranslator<EmbeddingRequest, EmbeddingResult, EmbeddingResult>(
                                (index, request) -> request, Function.identity());
            }
            EmbeddingEncoder encoder =
                    new EmbeddingEncoder(
                            TextTokenizer.open(model.getModelPath(), model.getNDManager()),
                            pooling,
                            normalize);
            if (input == EmbeddingInput.class) {
                return (Translator<I, O>)
                        new ReadingTranslator<EmbeddingInput, EmbeddingResult, EmbeddingResult>(
                                encoder::encode, Function.identity());
            }
            if (input == String.class) {
                String adapter = ArgumentsUtil.stringValue(arguments, "adapter", "");
                return (Translator<I, O>)
                        new ReadingTranslator<String, EmbeddingResult, float[]>(
                                (index, text) ->
                                        encoder.encode(index, new EmbeddingInput(text, adapter)),
                                EmbeddingResult::vector);
            }
            EmbeddingBodyParser parser = new EmbeddingBodyParser(encoder);
            return (Translator<I, O>)
                    new ReadingServingTranslator<EmbeddingResult>(
                            parser::parse, EmbeddingBodyParser::json);
        } catch (LoraException e) {
            throw new TranslateException(e.getMessage(), e);
        }
    }

    private static Pooling pooling(Map<String, ?> arguments) {
        String label = ArgumentsUtil.stringValue(arguments, "pooling", Pooling.MEAN.label());
        try {
            return Pooling.ofLabel(label);
        } catch (LoraConfigurationException e) {
            throw new LoraConfigurationException("the argument " + e.getMessage(), e);
        }
    }

    private static boolean normalize(Map<String, ?> arguments) {
        String value = ArgumentsUtil.stringValue(arguments, "normalize", "true");
        if (!"true".equalsIgnoreCase(value) && !"false".equalsIgnoreCase(value)) {
            throw new LoraConfigurationException(
                    "the argument normalize is " + value + "; true or false is needed");
        }
        return Boolean.parseBoolean(value);
    }
}
