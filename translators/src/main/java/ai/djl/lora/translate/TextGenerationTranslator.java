/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraException;
import ai.djl.lora.generate.GenerationRequest;
import ai.djl.lora.generate.GenerationRequestException;
import ai.djl.lora.generate.GenerationResult;
import ai.djl.lora.generate.engine.GenerationEngine;
import ai.djl.lora.generate.engine.GenerationHandle;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.model.CausalLanguageModel;
import ai.djl.ndarray.NDList;
import ai.djl.nn.Block;
import ai.djl.translate.TranslateException;
import ai.djl.translate.Translator;
import ai.djl.translate.TranslatorContext;
import java.util.ArrayList;
import java.util.List;

/**
 * Answers text with text, each request by the adapter that it names; {@code batchPredict} generates
 * all its requests as one mixed batch.
 *
 * <p>DJL's {@code Predictor} runs a block once between a translator's two halves, and generation
 * runs it many times. So the first half tokenises the requests, keeps them in the context and
 * returns an empty list, for which the predictor leaves out its own forward; the second half runs
 * the block's {@link GenerationEngine}, which all predictors share. Input is still processed before
 * anything is computed, each predict is still one call of each half, and the block keeps its
 * meaning: one forward is one step. (DJL's metrics count the generation as post-processing.) The
 * batchifier is never used, but must not be null: with none, a predictor would take requests one by
 * one.
 */
public final class TextGenerationTranslator implements Translator<TextRequest, TextResult> {

    private static final String REQUESTS = "ai.djl.lora.requests";

    private final TextTokenizer tokenizer;
    private final SamplingParameters defaults;
    private final ChatPrompts chat;

    /**
     * Constructs a new {@code TextGenerationTranslator} instance.
     *
     * @param tokenizer the model's tokenizer; it stays the caller's to close
     * @param defaults the sampling of requests that name none
     */
    public TextGenerationTranslator(TextTokenizer tokenizer, SamplingParameters defaults) {
        this(tokenizer, defaults, null);
    }

    /**
     * Constructs a new {@code TextGenerationTranslator} instance.
     *
     * @param tokenizer the model's tokenizer; it stays the caller's to close
     * @param defaults the sampling of requests that name none
     * @param chat makes prompts of conversations; null where none come
     */
    TextGenerationTranslator(
            TextTokenizer tokenizer, SamplingParameters defaults, ChatPrompts chat) {
        this.tokenizer = tokenizer;
        this.defaults = defaults;
        this.chat = chat;
    }

    /** {@inheritDoc} */
    @Override
    public NDList batchProcessInput(TranslatorContext ctx, List<TextRequest> inputs)
            throws TranslateException {
        try {
            return prepare(ctx, inputs);
        } catch (LoraException e) {
            throw new TranslateException(e.getMessage(), e);
        }
    }

    /** {@inheritDoc} */
    @Override
    @SuppressWarnings("unchecked")
    public List<TextResult> batchProcessOutput(TranslatorContext ctx, NDList list)
            throws TranslateException {
        try {
            return generate(ctx.getBlock(), (List<GenerationRequest>) ctx.getAttachment(REQUESTS));
        } catch (LoraException e) {
            throw new TranslateException(e.getMessage(), e);
        }
    }

    /** {@inheritDoc} */
    @Override
    public NDList processInput(TranslatorContext ctx, TextRequest input) throws TranslateException {
        return batchProcessInput(ctx, List.of(input));
    }

    /** {@inheritDoc} */
    @Override
    public TextResult processOutput(TranslatorContext ctx, NDList list) throws TranslateException {
        return batchProcessOutput(ctx, list).get(0);
    }

    SamplingParameters defaults() {
        return defaults;
    }

    /** Keeps the requests of some inputs for the translator's second half. */
    NDList prepare(TranslatorContext ctx, List<? extends GenerationInput> inputs) {
        List<GenerationRequest> requests = new ArrayList<>(inputs.size());
        for (GenerationInput input : inputs) {
            requests.add(encode(requests.size(), input));
        }
        ctx.setAttachment(REQUESTS, requests);
        return new NDList();
    }

    GenerationRequest encode(int index, GenerationInput input) {
        if (input == null || input instanceof TextRequest text && text.prompt() == null) {
            throw new GenerationRequestException(index, "prompt is null; a text is needed");
        }
        int[] prompt;
        if (input instanceof ChatRequest conversation) {
            prompt = encode(index, conversation);
        } else if (input instanceof TokenRequest given) {
            prompt = given.tokens();
        } else {
            prompt = encode(index, "prompt", ((TextRequest) input).prompt(), true);
        }
        SamplingParameters sampling = input.sampling() == null ? defaults : input.sampling();
        return new GenerationRequest(prompt, input.adapter(), sampling);
    }

    private int[] encode(int index, ChatRequest conversation) {
        String prompt;
        try {
            prompt = chat.render(conversation);
        } catch (LoraConfigurationException e) {
            throw new GenerationRequestException(index, e.getMessage(), e);
        }
        // the template writes the special tokens itself
        return encode(index, "messages", prompt, false);
    }

    private int[] encode(int index, String field, String text, boolean addSpecialTokens) {
        try {
            return tokenizer.encode(text, addSpecialTokens);
        } catch (LoraConfigurationException e) {
            throw new GenerationRequestException(index, field + ": " + e.getMessage(), e);
        }
    }

    /** Begins with the requests that were kept in a context, all or none. */
    @SuppressWarnings("unchecked")
    List<StreamedAnswer> begin(TranslatorContext ctx) {
        return begin(ctx.getBlock(), (List<GenerationRequest>) ctx.getAttachment(REQUESTS));
    }

    List<StreamedAnswer> begin(Block block, List<GenerationRequest> requests) {
        GenerationEngine engine = GenerationEngine.of(model(block));
        List<TextSubmission> texts = new ArrayList<>(requests.size());
        for (GenerationRequest request : requests) {
            requireOneAnswer(texts.size(), request);
            texts.add(submission(texts.size(), request));
        }
        List<GenerationHandle> handles =
                engine.submit(texts.stream().map(TextSubmission::submission).toList());
        List<StreamedAnswer> answers = new ArrayList<>(handles.size());
        for (int i = 0; i < handles.size(); ++i) {
            answers.add(new StreamedAnswer(texts.get(i), handles.get(i)));
        }
        return answers;
    }

    private static void requireOneAnswer(int index, GenerationRequest request) {
        if (request.sampling().bestOf() > 1) {
            throw new GenerationRequestException(
                    index,
                    "best_of is "
                            + request.sampling().bestOf()
                            + "; an answer that is streamed is the only one, so it must be 1");
        }
    }

    static CausalLanguageModel model(Block block) {
        if (!(block instanceof CausalLanguageModel)) {
            throw new LoraConfigurationException(
                    "the model's block is "
                            + (block == null ? null : block.getClass().getName())
                            + "; text generation needs a "
                            + CausalLanguageModel.class.getName());
        }
        return (CausalLanguageModel) block;
    }

    List<TextResult> generate(Block block, List<GenerationRequest> requests) {
        CausalLanguageModel model = model(block);
        List<TextSubmission> texts = new ArrayList<>(requests.size());
        for (GenerationRequest request : requests) {
            texts.add(submission(texts.size(), request));
        }
        List<List<GenerationResult>> results =
                GenerationEngine.of(model)
                        .answerAll(texts.stream().map(TextSubmission::submission).toList());
        List<TextResult> answers = new ArrayList<>(results.size());
        for (List<GenerationResult> each : results) {
            answers.add(texts.get(answers.size()).finish(each));
        }
        return answers;
    }

    private TextSubmission submission(int index, GenerationRequest request) {
        try {
            return new TextSubmission(tokenizer, request);
        } catch (LoraConfigurationException e) {
            throw new GenerationRequestException(index, e.getMessage(), e);
        }
    }
}
