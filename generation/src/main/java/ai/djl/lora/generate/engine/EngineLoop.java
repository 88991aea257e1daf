/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.lora.LoraBackendException;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraMemoryException;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.generate.FinishReason;
import ai.djl.lora.generate.GenerationResult;
import ai.djl.lora.generate.kv.KvCodec;
import ai.djl.lora.generate.kv.KvCompression;
import ai.djl.lora.generate.sampling.Sample;
import ai.djl.lora.memory.HostMemory;
import ai.djl.lora.memory.MemoryMonitor;
import ai.djl.lora.memory.MemorySource;
import ai.djl.lora.memory.Registration;
import ai.djl.lora.model.CausalLanguageModel;
import ai.djl.lora.model.KvPool;
import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.IntPredicate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What an engine's thread does: it schedules a step, runs it and takes account of it, again and
 * again. It owns the memory of keys and values.
 */
final class EngineLoop implements Runnable {

    private static final Logger logger = LoggerFactory.getLogger(EngineLoop.class);

    /** What keys and values may take of the process' memory where nothing is said. */
    private static final int MEMORY_SHARE = 8;

    /**
     * How much of keys and values is compressed between two steps, at least a block: a millisecond
     * in int8, and three bit for bit.
     */
    private static final int COMPRESSED_AT_ONCE = 1 << 20;

    private final CausalLanguageModel model;
    private final EngineOptions options;
    private final AdapterStore store;
    private final Intake intake;
    private final Function<SequenceGroup, Sequence> newSequence;
    private final Runnable ended;
    private final NDManager manager;
    private final KvPool pool;

    /** Compressed copies of blocks, null where there are none. */
    private final ColdBlocks cold;

    private final BlockManager blocks;
    private final FairQueue queue;
    private final AdapterWaits adapters;
    private final Scheduler scheduler;
    private final ModelRunner runner;
    private final IntPredicate endOfText;
    private final List<Registration> memory;

    /** Tells those whose requests have ended. */
    private final List<Runnable> ends = new ArrayList<>();

    private final StepCounters counters = new StepCounters();
    private volatile EngineStatistics statistics;

    /** What the step that runs takes, 0 between steps. */
    private volatile long activationBytes;

    /**
     * Constructs a new {@code EngineLoop} instance, which has to be run once.
     *
     * @param model the model
     * @param options how it shares its steps and its memory
     * @param intake where requests come from
     * @param newSequence makes the next of a request's sequences
     * @param ended is told when nothing runs any more
     * @throws LoraConfigurationException if the bytes for keys and values are not enough for a
     *     block
     */
    EngineLoop(
            CausalLanguageModel model,
            EngineOptions options,
            Intake intake,
            Function<SequenceGroup, Sequence> newSequence,
            Runnable ended) {
        this.model = model;
        this.options = options;
        this.intake = intake;
        this.newSequence = newSequence;
        this.ended = ended;
        this.store = model.getAdapters();
        this.endOfText = model.getConfig().eosTokenIds()::contains;
        int kvBlocks = kvBlocks(model, options); // may refuse, before anything is taken
        this.manager = model.getLoraContext().getManager().newSubManager();
        manager.setName("generationEngine");
        this.pool = newPool(kvBlocks);
        this.cold = options.kvCompression() == KvCompression.NONE ? null : newColdBlocks();
        this.blocks =
                new BlockManager(
                        pool.blocks(),
                        options.prefixCaching(),
                        cold,
                        options.kvCompressAfter().toNanos(),
                        options.ticker());
        this.queue =
                new FairQueue(
                        options.maxWait().toNanos(), options::tenantWeight, options::adapterWeight);
        this.adapters = new AdapterWaits(model, options, queue, intake::wake, this::fail);
        this.scheduler = new Scheduler(options, blocks, queue, pool::newCache);
        this.runner = new ModelRunner(model, manager, options.scoringBytes());
        this.statistics = snapshot();
        long blockBytes = pool.bytesPerBlock();
        this.memory =
                List.of(
                        store.addMemoryConsumer(
                                MemoryMonitor.KV_CACHE,
                                () ->
                                        statistics.usedKvBlocks() * blockBytes
                                                + statistics.compressedKvBytes()),
                        store.addMemoryConsumer(MemoryMonitor.ACTIVATIONS, () -> activationBytes));
    }

    /** Returns how things stood at the end of the last step. */
    EngineStatistics statistics() {
        return statistics;
    }

    /** Returns the number of the pool's blocks. */
    int kvBlocks() {
        return pool.blocks();
    }

    private static int kvBlocks(CausalLanguageModel model, EngineOptions options) {
        long block = KvPool.bytesPerBlock(model, options.kvType());
        long most =
                (long) options.maxSequences()
                        * KvPool.blocksFor(model.getConfig().maxPositionEmbeddings());
        long bytes =
                options.kvBytes()
                        .orElseGet(
                                () ->
                                        Math.max(
                                                block,
                                                memoryLimit(model)
                                                        / MEMORY_SHARE
                                                        / options.engines()));
        if (bytes < block) {
            throw new LoraConfigurationException(
                    "kvBytes is " + bytes + "; a block of this model takes " + block);
        }
        return Math.toIntExact(Math.min(Math.min(most, bytes / block), Integer.MAX_VALUE / 2));
    }

    /* A backend may refuse the type. */
    private KvPool newPool(int kvBlocks) {
        boolean made = false;
        try {
            KvPool result = model.newKvPool(manager, kvBlocks, options.kvType());
            made = true;
            return result;
        } finally {
            if (!made) {
                manager.close();
            }
        }
    }

    private ColdBlocks newColdBlocks() {
        boolean made = false;
        try {
            KvCodec codec =
                    options.kvCompression().codec(pool.blockShape(), options.kvPrunedShare());
            long block = pool.bytesPerBlock();
            long bytes =
                    options.kvCompressedBytes()
                            .orElseGet(() -> Math.max(block, pool.blocks() * block / 2));
            if (bytes < block) {
                throw new LoraConfigurationException(
                        "kvCompressedBytes is "
                                + bytes
                                + "; a block of this model may take "
                                + block);
            }
            ColdBlocks result = new ColdBlocks(pool, codec, bytes);
            made = true;
            return result;
        } finally {
            if (!made) {
                pool.close();
                manager.close();
            }
        }
    }

    private static long memoryLimit(CausalLanguageModel model) {
        Optional<MemorySource> device = model.getAdapters().getDeviceMemory();
        try {
            return (device.isPresent() ? device.get() : HostMemory.open()).read().limit();
        } catch (IOException e) {
            throw new LoraConfigurationException(
                    "How much memory there is cannot be read ("
                            + e.getMessage()
                            + "); give kvBytes",
                    e);
        }
    }

    /** {@inheritDoc} */
    @Override
    public void run() {
        try {
            if (options.engines() > 1) {
                model.getLoraContext().getBackend().shareProcessor(options.engines());
            }
            while (takeArrivals()) {
                long now = options.ticker().getAsLong();
                endEarly(now);
                adapters.bring(now);
                List<Work> works = scheduler.schedule(now);
                if (works.isEmpty()) {
                    tellEnds();
                    model.getLoraContext().getBackend().releaseThreads();
                    putAwayIdle();
                    sleep(now);
                } else {
                    step(works, now);
                    tellEnds();
                    putAway();
                }
            }
        } catch (RuntimeException | Error e) {
            logger.error("The engine has failed and is closed", e);
            intake.refuse();
        } finally {
            failAll();
            ended.run();
            memory.forEach(Registration::close);
            if (cold != null) {
                cold.close();
            }
            pool.close();
            manager.close();
        }
    }

    /* Compresses a little of what has not been used for long enough. */
    private void putAway() {
        long now = options.ticker().getAsLong();
        long left = Math.max(1, COMPRESSED_AT_ONCE / pool.bytesPerBlock());
        while (left > 0 && blocks.putAway(now)) {
            --left;
        }
    }

    /* Compresses what has not been used for long enough, until there is something else to do. */
    private void putAwayIdle() {
        boolean some = false;
        while (!intake.isAwake() && blocks.putAway(options.ticker().getAsLong())) {
            some = true;
        }
        if (some) {
            statistics = snapshot();
        }
    }

    /** Returns whether the engine goes on. */
    private boolean takeArrivals() {
        Optional<List<SequenceGroup>> fresh = intake.takeArrivals();
        if (fresh.isPresent()) {
            for (SequenceGroup group : fresh.get()) {
                queue.arrive(group.members().get(0));
                record(recorder -> recorder.arrived(group.request().adapter()));
            }
            statistics = snapshot();
        }
        return fresh.isPresent();
    }

    private void sleep(long now) {
        long wait = Math.max(0, blocks.nanosToNext(now));
        for (Sequence sequence : queue.waiting()) {
            Duration deadline = sequence.submission().deadline();
            if (deadline != null && sequence.group().firstScheduled() < 0) {
                wait = Math.min(wait, sequence.arrival() + deadline.toNanos() - now);
            }
        }
        intake.sleep(wait);
    }

    /** Ends what was cancelled, and what has waited for its first step for too long. */
    private void endEarly(long now) {
        for (Sequence sequence : queue.waiting()) {
            Duration deadline = sequence.submission().deadline();
            if (sequence.group().answers().isCancelled()) {
                fail(sequence, cancelled());
            } else if (deadline != null
                    && sequence.group().firstScheduled() < 0
                    && now - sequence.arrival() > deadline.toNanos()) {
                fail(
                        sequence,
                        new EngineBusyException(
                                "The request was not begun within its deadline of "
                                        + deadline.toMillis()
                                        + " ms"));
            }
        }
        for (Sequence sequence : scheduler.running()) {
            if (sequence.group().answers().isCancelled()) {
                fail(sequence, cancelled());
            }
        }
    }

    private static CancellationException cancelled() {
        return new CancellationException("The request was cancelled");
    }

    private void step(List<Work> works, long now) {
        for (Work work : works) {
            Sequence sequence = work.sequence();
            if (sequence.group().firstScheduled() < 0) {
                sequence.group().setFirstScheduled(now);
                intake.begun();
                record(
                        recorder ->
                                recorder.scheduled(
                                        sequence.request().adapter(), now - sequence.arrival()));
            }
        }
        reportActivations(works);
        run(works);
        activationBytes = 0;
        long end = options.ticker().getAsLong();
        counters.stepNanos += end - now;
        record(recorder -> recorder.step(snapshot(), end - now));
    }

    /* So that an adapter is not loaded into memory that the next step needs. */
    private void reportActivations(List<Work> works) {
        int tokens = works.stream().mapToInt(Work::tokens).sum();
        long bytes = model.activationBytes(tokens, runner.logitRows(works));
        activationBytes = bytes;
        store.reportStep(bytes);
    }

    /* Whoever makes a step fail fails alone. */
    private void run(List<Work> works) {
        long start = options.ticker().getAsLong();
        try (ModelRunner.Logits logits = runner.run(works)) {
            counters.modelNanos += options.ticker().getAsLong() - start;
            int row = 0;
            for (Work work : works) {
                // one of several answers that failed has ended the others
                if (!work.sequence().isEnded()) {
                    postprocess(work, logits, row);
                }
                row += work.outputs();
            }
        } catch (RuntimeException | OutOfMemoryError e) {
            if (works.size() == 1) {
                fail(works.get(0).sequence(), reason(e));
            } else {
                logger.warn("A step failed and is run once more, one request at a time", e);
                for (Work work : works) {
                    if (!work.sequence().isEnded()) {
                        run(List.of(work));
                    }
                }
            }
        }
    }

    private static RuntimeException reason(Throwable e) {
        if (e instanceof RuntimeException known) {
            return known;
        }
        return new LoraMemoryException("There was no memory for the request's step: " + e, e);
    }

    private void postprocess(Work work, ModelRunner.Logits logits, int firstRow) {
        Sequence sequence = work.sequence();
        int before = sequence.length();
        try {
            counters.promptTokens +=
                    Math.max(0, Math.min(work.count(), sequence.promptLength() - work.from()));
            sequence.setComputed(work.from() + work.count());
            if (sequence.reader() != null) {
                logits.read(work, firstRow);
                blocks.keep(sequence);
                if (sequence.computed() == sequence.length()) {
                    finish(sequence, FinishReason.LENGTH);
                }
                return;
            }
            FinishReason finished = null;
            int met = 0;
            for (int i = 0; i < work.outputs() && finished == null; ++i) {
                Sample sample = logits.sample(firstRow + i, sequence);
                finished = take(sequence, sample);
                boolean agreed = i < work.draft().length && work.draft()[i] == sample.token();
                if (!agreed) {
                    break;
                }
                if (finished == null) {
                    ++met;
                    sequence.setComputed(sequence.computed() + 1);
                }
            }
            if (work.draft().length > 0) {
                counters.draftedTokens += work.draft().length;
                counters.metTokens += met;
                sequence.drafts().count(work.draft().length, met);
                sequence.cache().truncate(sequence.virtualTokens() + sequence.computed());
            }
            blocks.keep(sequence);
            branch(sequence);
            if (finished != null) {
                finish(sequence, finished);
            }
        } catch (RuntimeException e) {
            // of a user's stop condition, or of logits that are not finite
            fail(sequence, named(sequence, before, e));
        }
    }

    /** Begins the other answers to a request whose prompt has been run. */
    private void branch(Sequence sequence) {
        SequenceGroup group = sequence.group();
        if (sequence.length() > sequence.promptLength()) {
            while (group.isPartial()) {
                Sequence next = newSequence.apply(group);
                group.add(next);
                queue.arrive(next);
            }
        }
    }

    private static RuntimeException named(Sequence sequence, int before, RuntimeException e) {
        if (!(e instanceof LoraBackendException)) {
            return e;
        }
        return new LoraBackendException(
                "adapter \""
                        + sequence.request().adapter()
                        + "\", "
                        + (sequence.reader() == null
                                ? "new token " + (before - sequence.promptLength())
                                : "token " + sequence.reader().next())
                        + ": "
                        + e.getMessage(),
                e);
    }

    private FinishReason take(Sequence sequence, Sample sample) {
        boolean first = sequence.index() == 0 && sequence.length() == sequence.promptLength();
        FinishReason finished = sequence.take(sample, endOfText);
        ++counters.newTokens;
        if (first) {
            long nanos = options.ticker().getAsLong() - sequence.arrival();
            record(recorder -> recorder.firstToken(sequence.request().adapter(), nanos));
        }
        return finished;
    }

    private void finish(Sequence sequence, FinishReason reason) {
        GenerationResult result = sequence.result(reason);
        end(sequence);
        long nanos = options.ticker().getAsLong() - sequence.arrival();
        record(
                recorder ->
                        recorder.finished(
                                sequence.request().adapter(),
                                sequence.promptLength(),
                                Math.min(sequence.cachedTokens(), sequence.promptLength()),
                                result.tokens().length,
                                nanos));
        ends.add(() -> sequence.handle().complete(result));
        SequenceGroup group = sequence.group();
        group.finish(result);
        if (group.isWhole()) {
            end(group);
            recordEnd(group);
            ends.add(() -> group.answers().complete(group.results()));
        }
    }

    /** Ends a request, with all of its answers. */
    private void fail(Sequence sequence, RuntimeException reason) {
        SequenceGroup group = sequence.group();
        if (group.isEnded()) {
            return;
        }
        if (group.firstScheduled() < 0) {
            intake.begun();
        }
        for (Sequence member : group.members()) {
            if (!member.isEnded()) {
                end(member);
            }
        }
        end(group);
        recordEnd(group);
        record(recorder -> recorder.failed(group.request().adapter(), reason));
        ends.add(() -> group.answers().fail(reason));
    }

    /* Users hear of an end when the statistics tell of it. */
    private void tellEnds() {
        statistics = snapshot();
        ends.forEach(Runnable::run);
        ends.clear();
        intake.ended(counters.endedRequests);
        counters.endedRequests = 0;
    }

    private void end(Sequence sequence) {
        scheduler.end(sequence);
        sequence.release();
    }

    private void end(SequenceGroup group) {
        group.end();
        ++counters.endedRequests;
    }

    private void recordEnd(SequenceGroup group) {
        boolean scheduled = group.firstScheduled() >= 0;
        record(recorder -> recorder.ended(group.request().adapter(), scheduled));
    }

    private void failAll() {
        List<Sequence> left = new ArrayList<>(scheduler.running());
        left.addAll(queue.waiting());
        for (Sequence sequence : left) {
            fail(sequence, closed());
        }
        for (SequenceGroup group : intake.takeLast()) {
            end(group);
            ends.add(() -> group.answers().fail(closed()));
        }
        tellEnds();
    }

    private static EngineClosedException closed() {
        return new EngineClosedException("The engine was closed before the request had ended");
    }

    private void record(Consumer<EngineRecorder> event) {
        try {
            event.accept(options.recorder());
        } catch (RuntimeException e) {
            logger.warn("The engine's recorder failed", e);
        }
    }

    private EngineStatistics snapshot() {
        List<Sequence> waiting = queue.waiting();
        int forAdapters = 0;
        for (Sequence sequence : waiting) {
            SequenceGroup group = sequence.group();
            forAdapters += group.loading() != null && group.lease() == null ? 1 : 0;
        }
        return new EngineStatistics(
                waiting.size(),
                forAdapters,
                scheduler.runningCount(),
                scheduler.steps(),
                counters.promptTokens,
                counters.newTokens,
                scheduler.cachedTokens(),
                counters.draftedTokens,
                counters.metTokens,
                scheduler.preemptions(),
                pool.blocks(),
                blocks.used(),
                blocks.cached(),
                pool.bytesPerBlock(),
                cold == null ? 0 : cold.size(),
                cold == null ? 0 : cold.bytes(),
                cold == null ? 0 : cold.compressions(),
                cold == null ? 0 : cold.restores(),
                counters.modelNanos,
                counters.stepNanos);
    }
}
