/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.Model;
import ai.djl.lora.LoraException;
import ai.djl.lora.generate.ScoringRequest;
import ai.djl.lora.generate.ScoringResult;
import ai.djl.modality.Input;
import ai.djl.modality.Output;
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
 * Makes the translators that say how likely texts are.
 *
 * <p>The pairs are ({@link ScoringInput}, {@link ScoringResult}) for texts; ({@link
 * ScoringRequest}, {@link ScoringResult}) for token ids; and ({@link Input}, {@link Output}) for
 * DJL Serving. The arguments that say something of the model's engine are those of {@link
 * TextGenerationTranslatorFactory}.
 *
 * <p>The tokenizer is the {@code tokenizer.json} in the model's folder. It belongs to the model and
 * is closed with it.
 */
public final class ScoringTranslatorFactory implements TranslatorFactory, Serializable {

    private static final long serialVersionUID = 1L;

    private static final Set<Pair<Type, Type>> SUPPORTED_TYPES =
            Set.of(
                    new Pair<>(ScoringInput.class, ScoringResult.class),
                    new Pair<>(ScoringRequest.class, ScoringResult.class),
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
            EngineArguments.apply(model, arguments);
            if (input == ScoringRequest.class) {
                // the engine checks token ids itself
                return (Translator<I, O>)
                        new ReadingTranslator<ScoringRequest, ScoringResult, ScoringResult>(
                                (index, request) -> request, Function.identity());
            }
            ScoringEncoder encoder =
                    new ScoringEncoder(
                            TextTokenizer.open(model.getModelPath(), model.getNDManager()));
            if (input == ScoringInput.class) {
                return (Translator<I, O>)
                        new ReadingTranslator<ScoringInput, ScoringResult, ScoringResult>(
                                encoder::encode, Function.identity());
            }
            ScoringBodyParser parser = new ScoringBodyParser(encoder);
            return (Translator<I, O>)
                    new ReadingServingTranslator<ScoringResult>(
                            parser::parse, ScoringBodyParser::json);
        } catch (LoraException e) {
            throw new TranslateException(e.getMessage(), e);
        }
    }
}
