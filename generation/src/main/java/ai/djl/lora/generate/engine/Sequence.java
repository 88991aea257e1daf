/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.lora.generate.FinishReason;
import ai.djl.lora.generate.GenerationRequest;
import ai.djl.lora.generate.GenerationResult;
import ai.djl.lora.generate.sampling.History;
import ai.djl.lora.generate.sampling.Sample;
import ai.djl.lora.generate.sampling.Sampler;
import ai.djl.lora.model.KvCache;
import ai.djl.lora.op.AdapterMix;
import ai.djl.lora.op.SequenceStart;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.IntPredicate;

/** An answer to a request on its way through the engine. For the engine's thread alone. */
final class Sequence {

    /** What computed the rows of the base model. */
    static final String BASE = "base";

    private final long id;
    private final SequenceGroup group;
    private final int index;
    private final GenerationHandle handle;
    private final Sampler sampler;
    private final History history;
    private final IntPredicate stop;
    private final int virtualTokens;
    private final int activeFrom;
    private final int limit;
    private int[] tokens;
    private int length;
    private int computed;
    private KvCache cache;
    private int keptBlocks;
    private long lastKept = BlockManager.ROOT;
    private long lastStep;
    private int preemptions;
    private int cachedTokens;
    private final DraftRecord drafts = new DraftRecord();
    private final List<Sample> samples = new ArrayList<>();
    private double logProb;
    private boolean ended;

    /**
     * Constructs a new {@code Sequence} instance.
     *
     * @param id a number that rises with each sequence
     * @param group the request
     * @param index which of its answers this is
     * @param sampler chooses its tokens
     * @param positions the number of positions that the model has
     */
    Sequence(long id, SequenceGroup group, int index, Sampler sampler, int positions) {
        this.id = id;
        this.group = group;
        this.index = index;
        this.handle = group.answers().handle(index);
        this.sampler = sampler;
        this.stop = group.submission().newStop(index);
        int[] prompt = group.request().promptTokens();
        this.history = new History(prompt);
        SequenceStart start = group.start();
        this.virtualTokens = start.virtualTokens();
        this.activeFrom = start.activeFrom(prompt);
        this.limit =
                Math.min(
                        group.request().sampling().maxNewTokens(),
                        positions - virtualTokens - prompt.length);
        this.tokens = Arrays.copyOf(prompt, prompt.length + Math.min(limit, 64));
        this.length = reader() == null ? prompt.length : reader().length();
    }

    long id() {
        return id;
    }

    SequenceGroup group() {
        return group;
    }

    /** Returns which of its request's answers this is, from 0. */
    int index() {
        return index;
    }

    Submission submission() {
        return group.submission();
    }

    GenerationRequest request() {
        return group.request();
    }

    /** Returns what takes the answer where the text is read and not continued, or null. */
    PromptReader<?> reader() {
        return group.submission().reader();
    }

    /** Returns how many of the tokens need not be run if their keys and values are known. */
    int adoptable() {
        // the last token's row is what the next one is chosen from
        return reader() == null ? length - 1 : Math.min(length - 1, reader().next());
    }

    GenerationHandle handle() {
        return handle;
    }

    Sampler sampler() {
        return sampler;
    }

    History history() {
        return history;
    }

    long arrival() {
        return group.arrival();
    }

    int virtualTokens() {
        return virtualTokens;
    }

    /** Returns the first token on which the adapter acts. */
    int activeFrom() {
        return activeFrom;
    }

    int promptLength() {
        return request().promptTokens().length;
    }

    /** Returns the number of tokens that are run, the prompt's and new ones. */
    int length() {
        return length;
    }

    /** Returns how many new tokens may still come. */
    int remaining() {
        return limit - (length - promptLength());
    }

    int token(int index) {
        return tokens[index];
    }

    int[] tokens(int from, int to) {
        return Arrays.copyOfRange(tokens, from, to);
    }

    /** Returns how many of the tokens have their keys and values in the cache. */
    int computed() {
        return computed;
    }

    void setComputed(int count) {
        computed = count;
    }

    /** Returns whether what is left to run is the newest token alone. */
    boolean isDecoding() {
        return computed == length - 1 && computed >= promptLength();
    }

    KvCache cache() {
        return cache;
    }

    void setCache(KvCache empty) {
        cache = empty;
    }

    int keptBlocks() {
        return keptBlocks;
    }

    long lastKept() {
        return lastKept;
    }

    void setKept(int blocks, long last) {
        keptBlocks = blocks;
        lastKept = last;
    }

    /** Returns whether the adapter, if there is one, is on the device and leased. */
    boolean isReady() {
        return request().adapter().isEmpty() || group.lease() != null;
    }

    AdapterMix mix() {
        return group.lease() == null ? AdapterMix.BASE : group.lease().getMix();
    }

    String revision() {
        return group.lease() == null ? BASE : group.lease().getRevision();
    }

    long lastStep() {
        return lastStep;
    }

    void setLastStep(long step) {
        lastStep = step;
    }

    /** Counts tokens whose keys and values lay in memory already. */
    void addCached(int count) {
        cachedTokens += count;
    }

    int cachedTokens() {
        return cachedTokens;
    }

    int preemptions() {
        return preemptions;
    }

    DraftRecord drafts() {
        return drafts;
    }

    /** Gives the cache up; the tokens are run again when there is room. */
    void preempt() {
        ++preemptions;
        computed = 0;
        setKept(0, BlockManager.ROOT);
        closeCache();
    }

    private void closeCache() {
        if (cache != null) {
            cache.close();
            cache = null;
        }
    }

    /**
     * Takes the next token.
     *
     * @return why the sequence ends with it, or null
     */
    FinishReason take(Sample sample, IntPredicate endOfText) {
        if (length == tokens.length) {
            tokens = Arrays.copyOf(tokens, 2 * length);
        }
        int token = sample.token();
        int place = length - promptLength();
        tokens[length++] = token;
        history.add(token);
        logProb += sample.logProb();
        if (request().sampling().logProbs() >= 0) {
            samples.add(sample);
        }
        boolean ends = !request().sampling().ignoreEos() && endOfText.test(token);
        boolean stops =
                ends
                        || request().sampling().stopTokens().contains(token)
                        // who reads the text is told of its last token too
                        || stop.test(token)
                        || sampler.isComplete();
        FinishReason reason = remaining() == 0 ? FinishReason.LENGTH : null;
        if (stops) {
            reason = FinishReason.STOP;
        }
        handle.publish(new GeneratedToken(place, token, sample.logProb(), sample.top(), reason));
        return reason;
    }

    GenerationResult result(FinishReason reason) {
        return new GenerationResult(
                request().adapter(),
                reader() == null ? tokens(promptLength(), length) : new int[0],
                reason,
                revision(),
                group.lease() == null ? Optional.empty() : group.lease().getSubstitution(),
                index,
                logProb,
                List.copyOf(samples));
    }

    boolean isEnded() {
        return ended;
    }

    /** Gives back what the sequence holds for itself. */
    void release() {
        ended = true;
        closeCache();
    }
}
