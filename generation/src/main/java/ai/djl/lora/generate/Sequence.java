/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate;

import ai.djl.lora.cache.Substitution;
import ai.djl.lora.generate.sampling.History;
import ai.djl.lora.generate.sampling.Sampler;
import ai.djl.lora.generate.sampling.SamplingWorkspace;
import ai.djl.lora.model.KvCache;
import ai.djl.lora.op.AdapterMix;
import java.util.Arrays;
import java.util.Optional;
import java.util.Set;

/** The state of one request while it is generated: what it has written, and its cache. */
final class Sequence implements AutoCloseable {

    private final int index;
    private final GenerationRequest request;
    private final int virtualTokens;
    private final int limit;
    private final Set<Integer> endOfText;
    private final Sampler sampler;
    private final History history;
    private AdapterMix mix;
    private String revision;
    private Substitution substitution;
    private KvCache cache;
    private int[] tokens = new int[16];
    private int length;
    private FinishReason finishReason;

    /**
     * Constructs a new {@code Sequence} instance.
     *
     * @param index the request's place in the batch
     * @param request the request, valid
     * @param virtualTokens the number of positions that the adapter puts before the prompt
     * @param positions the number of positions that the model has
     * @param endOfText the model's end-of-text tokens
     * @param workspace the buffers of the thread that samples
     */
    Sequence(
            int index,
            GenerationRequest request,
            int virtualTokens,
            int positions,
            Set<Integer> endOfText,
            SamplingWorkspace workspace) {
        this.index = index;
        this.request = request;
        this.virtualTokens = virtualTokens;
        this.limit = Math.min(request.sampling().maxNewTokens(), positions - promptPositions());
        this.endOfText = endOfText;
        this.sampler = new Sampler(request.sampling(), endOfText, null, workspace);
        this.history = new History(request.promptTokens());
    }

    int index() {
        return index;
    }

    GenerationRequest request() {
        return request;
    }

    /**
     * Sets who answers, before the sequence is scheduled.
     *
     * @param leased what the sequence adds to the base model
     * @param content the content hash of that
     * @param inPlace who answers in the adapter's place, or null
     */
    void lease(AdapterMix leased, String content, Substitution inPlace) {
        mix = leased;
        revision = content;
        substitution = inPlace;
    }

    AdapterMix mix() {
        return mix;
    }

    /** Returns the number of positions before the first new token, virtual ones too. */
    int promptPositions() {
        return virtualTokens + request.promptTokens().length;
    }

    /** Returns the number of new tokens. */
    int length() {
        return length;
    }

    KvCache cache() {
        return cache;
    }

    void start(KvCache emptyCache) {
        cache = emptyCache;
    }

    boolean isFinished() {
        return finishReason != null;
    }

    /** Returns the tokens that the next step has to run: the prompt, then each new token. */
    int[] nextTokens() {
        return length == 0 ? request.promptTokens() : new int[] {tokens[length - 1]};
    }

    /** Chooses the next token from the sequence's row of logits and takes it. */
    void advance(float[] logits, int offset, int vocabSize) {
        int token = sampler.sample(logits, offset, vocabSize, history).token();
        history.add(token);
        if (length == tokens.length) {
            tokens = Arrays.copyOf(tokens, 2 * length);
        }
        tokens[length++] = token;
        if (ends(token)) {
            finishReason = FinishReason.STOP;
        } else if (length == limit) {
            finishReason = FinishReason.LENGTH;
        }
    }

    private boolean ends(int token) {
        return request.sampling().stopTokens().contains(token)
                || endOfText.contains(token) && !request.sampling().ignoreEos();
    }

    GenerationResult result() {
        return new GenerationResult(
                request.adapter(),
                Arrays.copyOf(tokens, length),
                finishReason,
                revision,
                Optional.ofNullable(substitution));
    }

    /** Frees the cache. */
    @Override
    public void close() {
        if (cache != null) {
            cache.close();
            cache = null;
        }
    }
}
