/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.Model;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraException;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.modality.Input;
import ai.djl.modality.Output;
import ai.djl.translate.ArgumentsUtil;
import ai.djl.translate.TranslateException;
import ai.djl.translate.Translator;
import ai.djl.translate.TranslatorFactory;
import ai.djl.util.Pair;
import java.io.Serializable;
import java.lang.reflect.Type;
import java.math.BigDecimal;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;

/**
 * Makes the translators of text generation.
 *
 * <p>The pairs are ({@link TextRequest}, {@link TextResult}), where each request names its adapter;
 * ({@link ChatRequest}, {@link TextResult}), for models with a chat template; (String, String),
 * where the argument {@code adapter} names one for all and none means the base model; each of the
 * three inputs with {@link TextStream}, for answers that are read while they are written; and
 * ({@link Input}, {@link Output}) for DJL Serving, which streams where a request says so. The
 * arguments {@code max_new_tokens}, {@code min_new_tokens}, {@code temperature}, {@code top_k},
 * {@code top_p}, {@code min_p}, {@code typical_p}, {@code repetition_penalty}, {@code
 * presence_penalty}, {@code frequency_penalty} and {@code seed} set what requests leave open;
 * without them it is greedy decoding of at most {@value #DEFAULT_MAX_NEW_TOKENS} tokens.
 *
 * <p>All translators of a model share one {@link ai.djl.lora.generate.engine.GenerationEngine}. The
 * arguments {@code max_sequences}, {@code max_tokens_per_step}, {@code max_adapters_per_step},
 * {@code max_queue}, {@code adapter_lookahead}, {@code kv_bytes}, {@code scoring_bytes}, {@code
 * prefix_caching}, {@code kv_type}, {@code kv_compression}, {@code kv_pruned_share}, {@code
 * kv_compress_after_seconds}, {@code kv_compressed_bytes}, {@code speculation}, {@code
 * speculation_sequences}, {@code max_wait_seconds} and {@code adapter_timeout_seconds} are its
 * options. A translator whose arguments differ from the options of the engine that is there is
 * refused; one with none takes the engine as it is.
 *
 * <p>The tokenizer is the {@code tokenizer.json} in the model's folder. It belongs to the model and
 * is closed with it.
 */
public final class TextGenerationTranslatorFactory implements TranslatorFactory, Serializable {

    /** The number of tokens that are generated at most where nobody says a number. */
    public static final int DEFAULT_MAX_NEW_TOKENS = 64;

    private static final long serialVersionUID = 1L;

    private static final Set<Pair<Type, Type>> SUPPORTED_TYPES =
            Set.of(
                    new Pair<>(TextRequest.class, TextResult.class),
                    new Pair<>(ChatRequest.class, TextResult.class),
                    new Pair<>(TextRequest.class, TextStream.class),
                    new Pair<>(ChatRequest.class, TextStream.class),
                    new Pair<>(String.class, String.class),
                    new Pair<>(String.class, TextStream.class),
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
            SamplingParameters defaults = defaults(arguments);
            EngineArguments.apply(model, arguments);
            TextTokenizer tokenizer =
                    TextTokenizer.open(model.getModelPath(), model.getNDManager());
            ChatPrompts chat = new ChatPrompts(model.getModelPath());
            TextGenerationTranslator translator =
                    new TextGenerationTranslator(tokenizer, defaults, chat);
            String adapter = ArgumentsUtil.stringValue(arguments, "adapter", "");
            if (input == ChatRequest.class) {
                // a model that cannot chat is refused now, not at the first message
                chat.template();
            }
            if (output == TextStream.class) {
                Function<I, GenerationInput> inputs =
                        input == String.class
                                ? text -> new TextRequest((String) text, adapter)
                                : GenerationInput.class::cast;
                return (Translator<I, O>) new TextStreamTranslator<>(translator, inputs);
            }
            if (input == ChatRequest.class) {
                return (Translator<I, O>) new ChatTranslator(translator);
            }
            if (input == TextRequest.class) {
                return (Translator<I, O>) translator;
            }
            if (input == String.class) {
                return (Translator<I, O>) new PlainTextTranslator(translator, adapter);
            }
            return (Translator<I, O>) new ServingTranslator(translator);
        } catch (LoraException e) {
            throw new TranslateException(e.getMessage(), e);
        }
    }

    private static SamplingParameters defaults(Map<String, ?> arguments) {
        Map<String, BigDecimal> values = new HashMap<>();
        for (String name : SamplingArguments.NAMES) {
            Object value = arguments.get(name);
            if (value != null) {
                try {
                    values.put(name, new BigDecimal(value.toString()));
                } catch (NumberFormatException e) {
                    throw new LoraConfigurationException(
                            "the argument " + name + " is " + value + "; a number is needed", e);
                }
            }
        }
        return new SamplingArguments(values, "the argument ")
                .over(SamplingParameters.greedy(DEFAULT_MAX_NEW_TOKENS));
    }
}
