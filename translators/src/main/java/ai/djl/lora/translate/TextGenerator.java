/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraMemoryException;
import ai.djl.lora.generate.GenerationRequest;
import ai.djl.lora.generate.engine.AnswerGroup;
import ai.djl.lora.generate.engine.EngineBusyException;
import ai.djl.lora.generate.engine.GenerationEngine;
import ai.djl.lora.generate.engine.Submission;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.model.CausalLanguageModel;
import java.nio.file.Path;
import java.util.function.Function;
import java.util.function.UnaryOperator;

/**
 * Answers requests for text by a model's engine, for servers: it does not wait for the answers. May
 * be used by several threads.
 */
public final class TextGenerator {

    private final Function<Submission, AnswerGroup> engine;
    private final TextTokenizer tokenizer;
    private final ChatPrompts chat;
    private final TextGenerationTranslator translator;

    /**
     * Constructs a new {@code TextGenerator} instance.
     *
     * @param model the model
     * @param folder its folder, in which a chat template may lie
     * @param tokenizer its tokenizer; it stays the caller's to close
     * @param defaults the sampling of requests that name none
     */
    public TextGenerator(
            CausalLanguageModel model,
            Path folder,
            TextTokenizer tokenizer,
            SamplingParameters defaults) {
        this(GenerationEngine.of(model)::submitGroup, folder, tokenizer, defaults);
    }

    /**
     * Constructs a new {@code TextGenerator} instance.
     *
     * @param engine takes requests, such as {@link GenerationEngine#submitGroup}
     * @param folder the model's folder, in which a chat template may lie
     * @param tokenizer its tokenizer; it stays the caller's to close
     * @param defaults the sampling of requests that name none
     */
    public TextGenerator(
            Function<Submission, AnswerGroup> engine,
            Path folder,
            TextTokenizer tokenizer,
            SamplingParameters defaults) {
        this.engine = engine;
        this.tokenizer = tokenizer;
        this.chat = new ChatPrompts(folder);
        this.translator = new TextGenerationTranslator(tokenizer, defaults, chat);
    }

    private TextGenerator(TextGenerator other, Function<Submission, AnswerGroup> engine) {
        this.engine = engine;
        tokenizer = other.tokenizer;
        chat = other.chat;
        translator = other.translator;
    }

    /**
     * Returns a generator like this one whose requests something else takes.
     *
     * @param taking takes requests, of the same model
     * @return the generator, which shares everything else with this one
     */
    public TextGenerator by(Function<Submission, AnswerGroup> taking) {
        return new TextGenerator(this, taking);
    }

    /**
     * Returns the sampling of requests that name none.
     *
     * @return the parameters
     */
    public SamplingParameters defaults() {
        return translator.defaults();
    }

    /**
     * Returns whether the model has a template for conversations.
     *
     * @return whether it has, and it can be read
     */
    public boolean canChat() {
        try {
            chat.template();
            return true;
        } catch (LoraConfigurationException e) {
            return false;
        }
    }

    /**
     * Begins with the answers to a request.
     *
     * @param input the request
     * @return its answers, which come
     * @throws LoraConfigurationException if the request is not valid, or its adapter is not known
     * @throws LoraMemoryException if an answer could need more KV blocks than there are
     * @throws EngineBusyException if too many requests wait
     */
    public TextAnswers begin(GenerationInput input) {
        return begin(input, builder -> builder);
    }

    /**
     * Begins with the answers to a request.
     *
     * @param input the request
     * @param said says for whom it is, how urgent and how long it may wait
     * @return its answers, which come
     * @throws LoraConfigurationException if the request is not valid, or its adapter is not known
     * @throws LoraMemoryException if an answer could need more KV blocks than there are
     * @throws EngineBusyException if too many requests wait
     */
    public TextAnswers begin(GenerationInput input, UnaryOperator<Submission.Builder> said) {
        GenerationRequest request = translator.encode(0, input);
        TextSubmission submission = new TextSubmission(tokenizer, request, said);
        return new TextAnswers(
                submission, engine.apply(submission.submission()), request.promptTokens().length);
    }
}
