/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.lora.cache.AdapterLease;
import ai.djl.lora.generate.FinishReason;
import ai.djl.lora.generate.GenerationRequest;
import ai.djl.lora.generate.GenerationResult;
import ai.djl.lora.generate.sampling.History;
import ai.djl.lora.generate.sampling.Sample;
import ai.djl.lora.generate.sampling.Sampler;
import ai.djl.lora.model.KvCache;
import ai.djl.lora.op.AdapterMix;
import ai.djl.lora.op.SequenceStart;
import java.util.Arrays;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.IntPredicate;

/** A request on its way through the engine. For the engine's thread alone. */
final class Sequence {

    /** What computed the rows of the base model. */
    static final String BASE = "base";

    private final long id;
    private final Submission submission;
    private final GenerationHandle handle;
    private final Sampler sampler;
    private final History history;
    private final IntPredicate stop;
    private final int virtualTokens;
    private final int activeFrom;
    private final int limit;
    private final long arrival;
    private CompletableFuture<AdapterLease> loading;
    private AdapterLease lease;
    private int[] tokens;
    private int length;
    private int computed;
    private KvCache cache;
    private int keptBlocks;
    private long lastKept = BlockManager.ROOT;
    private long lastStep;
    private long firstScheduled = -1;
    private int preemptions;
    private int cachedTokens;
    private final DraftRecord drafts = new DraftRecord();

    /**
     * Constructs a new {@code Sequence} instance.
     *
     * @param id a number that rises with each request
     * @param submission the request, valid
     * @param handle what its user holds
     * @param sampler chooses its tokens
     * @param start what its adapter asks of a sequence
     * @param positions the number of positions that the model has
     * @param arrival when it came
     */
    Sequence(
            long id,
            Submission submission,
            GenerationHandle handle,
            Sampler sampler,
            SequenceStart start,
            int positions,
            long arrival) {
        this.id = id;
        this.submission = submission;
        this.handle = handle;
        this.sampler = sampler;
        this.stop = submission.newStop();
        this.arrival = arrival;
        int[] prompt = submission.request().promptTokens();
        this.history = new History(prompt);
        this.virtualTokens = start.virtualTokens();
        this.activeFrom = start.activeFrom(prompt);
        this.limit =
                Math.min(
                        submission.request().sampling().maxNewTokens(),
                        positions - virtualTokens - prompt.length);
        this.tokens = Arrays.copyOf(prompt, prompt.length + Math.min(limit, 64));
        this.length = reader() == null ? prompt.length : reader().length();
    }

    long id() {
        return id;
    }

    Submission submission() {
        return submission;
    }

    GenerationRequest request() {
        return submission.request();
    }

    /** Returns what takes the answer where the text is read and not continued, or null. */
    PromptReader<?> reader() {
        return submission.reader();
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
        return arrival;
    }

    int virtualTokens() {
        return virtualTokens;
    }

    /** Returns the first token on which the adapter acts. */
    int activeFrom() {
        return activeFrom;
    }

    int promptLength() {
        return submission.request().promptTokens().length;
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

    CompletableFuture<AdapterLease> loading() {
        return loading;
    }

    void setLoading(CompletableFuture<AdapterLease> future) {
        loading = future;
    }

    AdapterLease lease() {
        return lease;
    }

    void setLease(AdapterLease leased) {
        lease = leased;
    }

    /** Returns whether the adapter, if there is one, is on the device and leased. */
    boolean isReady() {
        return request().adapter().isEmpty() || lease != null;
    }

    AdapterMix mix() {
        return lease == null ? AdapterMix.BASE : lease.getMix();
    }

    String revision() {
        return lease == null ? BASE : lease.getRevision();
    }

    long lastStep() {
        return lastStep;
    }

    void setLastStep(long step) {
        lastStep = step;
    }

    /** Returns when the sequence was first scheduled, -1 before. */
    long firstScheduled() {
        return firstScheduled;
    }

    void setFirstScheduled(long time) {
        firstScheduled = time;
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
        int index = length - promptLength();
        tokens[length++] = token;
        history.add(token);
        boolean ends = !request().sampling().ignoreEos() && endOfText.test(token);
        boolean stops =
                ends
                        || sampler.isComplete()
                        || request().sampling().stopTokens().contains(token)
                        || stop.test(token);
        FinishReason reason = remaining() == 0 ? FinishReason.LENGTH : null;
        if (stops) {
            reason = FinishReason.STOP;
        }
        handle.publish(new GeneratedToken(index, token, sample.logProb(), sample.top(), reason));
        return reason;
    }

    GenerationResult result(FinishReason reason) {
        return new GenerationResult(
                request().adapter(),
                reader() == null ? tokens(promptLength(), length) : new int[0],
                reason,
                revision(),
                lease == null ? Optional.empty() : lease.getSubstitution());
    }

    /** Gives back what the sequence holds. */
    void release() {
        closeCache();
        if (lease != null) {
            lease.close();
        } else if (loading != null) {
            loading.whenComplete(
                    (late, failure) -> {
                        if (late != null) {
                            late.close();
                        }
                    });
            loading.cancel(false);
        }
    }
}
