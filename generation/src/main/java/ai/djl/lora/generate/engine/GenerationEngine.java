/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.lora.LoraBackendException;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraException;
import ai.djl.lora.LoraMemoryException;
import ai.djl.lora.LoraOffloadException;
import ai.djl.lora.LoraVariantException;
import ai.djl.lora.cache.AdapterLease;
import ai.djl.lora.cache.AdapterState;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.cache.UnavailablePolicy;
import ai.djl.lora.generate.FinishReason;
import ai.djl.lora.generate.GenerationRequest;
import ai.djl.lora.generate.GenerationRequestException;
import ai.djl.lora.generate.GenerationResult;
import ai.djl.lora.generate.ReadRequest;
import ai.djl.lora.generate.RequestValidator;
import ai.djl.lora.generate.kv.KvCodec;
import ai.djl.lora.generate.kv.KvCompression;
import ai.djl.lora.generate.sampling.Sample;
import ai.djl.lora.generate.sampling.Sampler;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.generate.sampling.SamplingWorkspace;
import ai.djl.lora.memory.HostMemory;
import ai.djl.lora.memory.MemoryMonitor;
import ai.djl.lora.memory.Registration;
import ai.djl.lora.model.CausalLanguageModel;
import ai.djl.lora.model.KvPool;
import ai.djl.lora.op.SequenceStart;
import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.function.IntPredicate;
import java.util.function.UnaryOperator;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Generates text for many requests at once: they join and leave the running batch at every step,
 * each with its own adapter, prompts are run in pieces beside others' new tokens, and what is short
 * is shared fairly.
 *
 * <p>One thread schedules a step, runs it and takes account of it. Requests come from any thread.
 * The model belongs to the caller; other users of it may run beside. An engine that is not closed
 * ends with its model.
 */
public final class GenerationEngine implements AutoCloseable {

    private static final Logger logger = LoggerFactory.getLogger(GenerationEngine.class);

    /** What keys and values may take of the process' memory where nothing is said. */
    private static final int MEMORY_SHARE = 8;

    /** How many waiting requests are looked at in a step for adapters that are there already. */
    private static final int MOST_LOOKED_AT = 64;

    /**
     * How much of keys and values is compressed between two steps, at least a block: a millisecond
     * in int8, and three bit for bit.
     */
    private static final int COMPRESSED_AT_ONCE = 1 << 20;

    /** The sampling of texts of which no token is chosen. */
    private static final SamplingParameters UNUSED = SamplingParameters.greedy(1);

    private final CausalLanguageModel model;
    private final EngineOptions options;
    private final AdapterStore store;
    private final NDManager manager;
    private final KvPool pool;

    /** Compressed copies of blocks, null where there are none. */
    private final ColdBlocks cold;

    private final BlockManager blocks;
    private final FairQueue queue;
    private final Scheduler scheduler;
    private final ModelRunner runner;
    private final SamplingWorkspace workspace = new SamplingWorkspace();
    private final RequestValidator validator;
    private final IntPredicate endOfText;
    private final List<Registration> memory;
    private final Registration ending;
    private final Thread thread;

    private final AtomicLong lastId = new AtomicLong();

    /** Guards what other threads hand over. */
    private final Object lock = new Object();

    private final List<SequenceGroup> arrived = new ArrayList<>();

    /** Tells those whose requests have ended; for the engine's thread alone. */
    private final List<Runnable> ends = new ArrayList<>();

    /** Requests whose ends are among those. */
    private int endedRequests;

    /** Requests that have not ended. */
    private int taken;

    /** Requests that no step has had yet. */
    private int notBegun;

    private boolean awake;
    private boolean draining;
    private boolean stopping;

    private long promptTokens;
    private long newTokens;
    private long draftedTokens;
    private long metTokens;
    private long modelNanos;
    private long stepNanos;
    private volatile EngineStatistics statistics;

    /** What the step that runs takes, 0 between steps. */
    private volatile long activationBytes;

    /**
     * Constructs a new {@code GenerationEngine} instance and starts it.
     *
     * @param model the model
     */
    public GenerationEngine(CausalLanguageModel model) {
        this(model, EngineOptions.builder().build());
    }

    /**
     * Constructs a new {@code GenerationEngine} instance and starts it.
     *
     * @param model the model
     * @param options how it shares its steps and its memory
     * @throws LoraConfigurationException if the bytes for keys and values are not enough for a
     *     block
     */
    public GenerationEngine(CausalLanguageModel model, EngineOptions options) {
        this.model = model;
        this.options = options;
        this.store = model.getAdapters();
        this.validator =
                new RequestValidator(
                        model.getConfig().vocabSize(), model.getConfig().maxPositionEmbeddings());
        this.endOfText = model.getConfig().eosTokenIds()::contains;
        int kvBlocks = kvBlocks(); // may refuse, before anything is taken
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
        this.ending = model.getLoraContext().addEnding(this::close);
        this.thread = new Thread(this::run, "djl-lora-engine");
        thread.setDaemon(true);
        thread.start();
    }

    /**
     * Returns the engine that all users of a model share, which starts when it is first asked for
     * and is closed with the model.
     *
     * @param model the model
     * @return the engine, owned by the model
     */
    public static GenerationEngine of(CausalLanguageModel model) {
        return model.getLoraContext()
                .shared(GenerationEngine.class, () -> new GenerationEngine(model));
    }

    /**
     * Returns the engine that all users of a model share, which starts when it is first asked for
     * and is closed with the model.
     *
     * @param model the model
     * @param options what the engine is to be like
     * @return the engine, owned by the model
     * @throws LoraConfigurationException if it has started with other options
     */
    public static GenerationEngine of(CausalLanguageModel model, EngineOptions options) {
        GenerationEngine engine =
                model.getLoraContext()
                        .shared(GenerationEngine.class, () -> new GenerationEngine(model, options));
        engine.options
                .difference(options)
                .ifPresent(
                        difference -> {
                            throw new LoraConfigurationException(
                                    "The model's engine has "
                                            + difference
                                            + "; all users of a model share one engine");
                        });
        return engine;
    }

    private int kvBlocks() {
        long block = KvPool.bytesPerBlock(model, options.kvType());
        long most =
                (long) options.maxSequences()
                        * KvPool.blocksFor(model.getConfig().maxPositionEmbeddings());
        long bytes =
                options.kvBytes().orElseGet(() -> Math.max(block, memoryLimit() / MEMORY_SHARE));
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

    private static long memoryLimit() {
        try {
            return HostMemory.open().read().limit();
        } catch (IOException e) {
            throw new LoraConfigurationException(
                    "How much memory there is cannot be read ("
                            + e.getMessage()
                            + "); give kvBytes",
                    e);
        }
    }

    /**
     * Takes a request for one answer.
     *
     * @param request the request
     * @return its tokens and its end
     * @throws LoraConfigurationException if the request is not valid, or its adapter is not known
     * @throws LoraMemoryException if it could need more KV blocks than there are
     * @throws EngineBusyException if too many requests wait
     * @throws IllegalStateException if the engine is closed
     */
    public GenerationHandle submit(GenerationRequest request) {
        return submit(Submission.of(request));
    }

    /**
     * Takes a request for one answer.
     *
     * @param submission the request, and what is said of it
     * @return its tokens and its end
     * @throws LoraConfigurationException if the request is not valid, or its adapter is not known
     * @throws LoraMemoryException if it could need more KV blocks than there are
     * @throws EngineBusyException if too many requests wait
     * @throws IllegalStateException if the engine is closed
     */
    public GenerationHandle submit(Submission submission) {
        return submit(List.of(submission)).get(0);
    }

    /**
     * Takes requests for one answer each, all or none.
     *
     * @param submissions the requests, and what is said of them
     * @return the tokens and the end of each
     * @throws LoraConfigurationException if a request is not valid, or its adapter is not known;
     *     its place is in the message
     * @throws LoraMemoryException if one could need more KV blocks than there are
     * @throws EngineBusyException if too many requests wait
     * @throws IllegalStateException if the engine is closed
     */
    public List<GenerationHandle> submit(List<Submission> submissions) {
        requireOneAnswer(submissions);
        return submitAll(submissions, check(submissions)).stream()
                .map(group -> group.handle(0))
                .toList();
    }

    /**
     * Takes a request for any number of answers. Its prompt is run once; each answer draws with a
     * seed of its own ({@link ai.djl.lora.generate.sampling.SamplingParameters#choiceSeed}), so
     * that it is the same however many there are.
     *
     * @param submission the request, and what is said of it
     * @return its answers and their end
     * @throws LoraConfigurationException if the request is not valid, or its adapter is not known
     * @throws LoraMemoryException if an answer could need more KV blocks than there are
     * @throws EngineBusyException if too many requests wait
     * @throws IllegalStateException if the engine is closed
     */
    public AnswerGroup submitGroup(Submission submission) {
        List<Submission> one = List.of(submission);
        return submitAll(one, check(one)).get(0);
    }

    private List<AnswerGroup> submitAll(List<Submission> submissions, List<SequenceStart> starts) {
        synchronized (lock) {
            if (!draining && notBegun + submissions.size() > options.maxQueue()) {
                throw new EngineBusyException(
                        notBegun
                                + " requests are waiting and "
                                + options.maxQueue()
                                + " may (maxQueue); try again later");
            }
            return enqueue(submissions, starts);
        }
    }

    private static void requireOneAnswer(List<Submission> submissions) {
        for (int i = 0; i < submissions.size(); ++i) {
            GenerationRequest request = submissions.get(i).request();
            // those that lack parameters are named with what else is wrong
            if (request.sampling() != null && request.sampling().bestOf() > 1) {
                throw new GenerationRequestException(
                        i,
                        "bestOf is "
                                + request.sampling().bestOf()
                                + "; it must be 1 where each request has one answer (submitGroup and"
                                + " answerAll give several)");
            }
        }
    }

    private List<SequenceStart> check(List<Submission> submissions) {
        validator.validate(submissions.stream().map(Submission::request).toList());
        List<SequenceStart> starts = new ArrayList<>();
        for (Submission submission : submissions) {
            checkConstraint(starts.size(), submission);
            starts.add(check(starts.size(), submission.request()));
        }
        return starts;
    }

    /** Takes requests that there is room for; called with the lock held. */
    private List<AnswerGroup> enqueue(List<Submission> submissions, List<SequenceStart> starts) {
        if (draining) {
            throw new IllegalStateException("The engine is closed");
        }
        List<SequenceGroup> groups = new ArrayList<>();
        long now = options.ticker().getAsLong();
        for (int i = 0; i < submissions.size(); ++i) {
            Submission submission = submissions.get(i);
            AnswerGroup answers = new AnswerGroup(submission.request().sampling(), this::wake);
            SequenceGroup group = new SequenceGroup(submission, answers, starts.get(i), now);
            group.add(newSequence(group));
            groups.add(group);
        }
        arrived.addAll(groups);
        taken += submissions.size();
        notBegun += submissions.size();
        wakeLocked();
        return groups.stream().map(SequenceGroup::answers).toList();
    }

    /** Waits for room in the queue, and takes a request. */
    private AnswerGroup enqueueWhenRoom(Submission submission, SequenceStart start) {
        synchronized (lock) {
            while (!draining && notBegun >= options.maxQueue()) {
                try {
                    lock.wait();
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    throw new EngineBusyException(
                            "The thread was interrupted while it waited for room in the queue");
                }
            }
            return enqueue(List.of(submission), List.of(start)).get(0);
        }
    }

    private static void checkConstraint(int index, Submission submission) {
        boolean described = submission.request().sampling().constraint().isPresent();
        if (described != submission.hasConstraint()) {
            throw new GenerationRequestException(
                    index,
                    described
                            ? "constraint is not compiled for the vocabulary; a submission of token"
                                    + " ids needs it compiled (optConstraint)"
                            : "constraint is absent and a compiled one is given; give both or"
                                    + " neither");
        }
    }

    private SequenceStart check(int index, GenerationRequest request) {
        SequenceStart start = start(index, request.adapter());
        if (!request.adapter().isEmpty()) {
            validator.validateAdapter(index, request, start);
        }
        checkBlocks(request.promptTokens().length, request.sampling().maxNewTokens(), start);
        return start;
    }

    private SequenceStart check(int index, ReadRequest<?> request) {
        validator.validate(index, request);
        SequenceStart start = start(index, request.adapter());
        if (!request.adapter().isEmpty()) {
            validator.validateAdapter(index, request, start);
        }
        checkBlocks(request.tokens().length, 0, start);
        return start;
    }

    private SequenceStart start(int index, String adapter) {
        if (adapter.isEmpty()) {
            return SequenceStart.ANY;
        }
        try {
            return store.sequenceStart(adapter);
        } catch (LoraConfigurationException e) {
            throw new GenerationRequestException(index, e.getMessage(), e);
        }
    }

    /** Makes the next of a request's sequences. */
    private Sequence newSequence(SequenceGroup group) {
        int index = group.members().size();
        SamplingParameters sampling = group.request().sampling();
        if (index > 0) {
            sampling = sampling.toBuilder().seed(sampling.choiceSeed(index)).build();
        }
        Sampler sampler =
                new Sampler(
                        sampling,
                        model.getConfig().eosTokenIds(),
                        group.submission().newConstraint(),
                        workspace);
        int positions = model.getConfig().maxPositionEmbeddings();
        return new Sequence(lastId.incrementAndGet(), group, index, sampler, positions);
    }

    private void checkBlocks(int tokens, int newTokens, SequenceStart start) {
        long positions =
                Math.min(
                        model.getConfig().maxPositionEmbeddings(),
                        (long) start.virtualTokens() + tokens + newTokens);
        int needed = KvPool.blocksFor((int) positions);
        if (needed > pool.blocks()) {
            throw new LoraMemoryException(
                    "The request may take "
                            + positions
                            + " positions, "
                            + needed
                            + " KV blocks; the engine has "
                            + pool.blocks()
                            + " (kvBytes)");
        }
    }

    /**
     * Answers requests, as many as there are and each once: those that the queue has no room for
     * wait here. When one fails the others are cancelled.
     *
     * @param requests the requests
     * @return the answers, in the order of the requests
     * @throws LoraConfigurationException if a request is not valid, or its adapter is not known;
     *     nothing is generated then
     * @throws LoraException the reason of the first that failed
     * @throws java.util.concurrent.CancellationException if the engine was closed
     */
    public List<GenerationResult> generate(List<GenerationRequest> requests) {
        return answer(requests.stream().map(Submission::of).toList());
    }

    /**
     * Answers requests, as {@link #generate} does.
     *
     * @param submissions the requests, and what is said of them
     * @return the answers, in the order of the requests
     * @throws LoraConfigurationException if a request is not valid, or its adapter is not known;
     *     nothing is generated then
     * @throws LoraException the reason of the first that failed
     * @throws java.util.concurrent.CancellationException if the engine was closed
     */
    public List<GenerationResult> answer(List<Submission> submissions) {
        requireOneAnswer(submissions);
        return answerAll(submissions).stream().map(answers -> answers.get(0)).toList();
    }

    /**
     * Answers requests, as {@link #generate} does, each as often as it asks for.
     *
     * @param submissions the requests, and what is said of them
     * @return the answers to each request, in the order of the requests, as {@link
     *     AnswerGroup#results()} has them
     * @throws LoraConfigurationException if a request is not valid, or its adapter is not known;
     *     nothing is generated then
     * @throws LoraException the reason of the first that failed
     * @throws java.util.concurrent.CancellationException if the engine was closed
     */
    public List<List<GenerationResult>> answerAll(List<Submission> submissions) {
        return answerAll(submissions, check(submissions));
    }

    private List<List<GenerationResult>> answerAll(
            List<Submission> submissions, List<SequenceStart> starts) {
        List<AnswerGroup> groups = new ArrayList<>();
        List<List<GenerationResult>> results = new ArrayList<>();
        try {
            for (Submission submission : submissions) {
                groups.add(enqueueWhenRoom(submission, starts.get(groups.size())));
            }
            for (AnswerGroup group : groups) {
                results.add(group.join());
            }
            return results;
        } catch (LoraBackendException e) {
            throw new LoraBackendException(
                    "requests[" + results.size() + "], " + e.getMessage(), e);
        } finally {
            groups.forEach(AnswerGroup::cancel);
        }
    }

    /**
     * Takes a text that is read: scored, or made a vector of. It is scheduled as the prompt of a
     * request is, beside what else runs, and counts as one.
     *
     * @param request the request
     * @param said says for whom it is and how urgent
     * @param <R> what it is answered with
     * @return its end
     * @throws LoraConfigurationException if the request is not valid, or its adapter is not known
     * @throws LoraMemoryException if it needs more KV blocks than there are
     * @throws EngineBusyException if too many requests wait
     * @throws IllegalStateException if the engine is closed
     */
    public <R> ReadingHandle<R> read(
            ReadRequest<R> request, UnaryOperator<Submission.Builder> said) {
        SequenceStart start = check(0, request);
        PromptReader<R> reader = newReader(request);
        Submission submission = submission(request, reader, said);
        return new ReadingHandle<>(
                submitAll(List.of(submission), List.of(start)).get(0).handle(0), reader);
    }

    /**
     * Takes a text that is read, with nothing said beside it.
     *
     * @param request the request
     * @param <R> what it is answered with
     * @return its end
     * @throws LoraConfigurationException if the request is not valid, or its adapter is not known
     * @throws LoraMemoryException if it needs more KV blocks than there are
     * @throws EngineBusyException if too many requests wait
     * @throws IllegalStateException if the engine is closed
     */
    public <R> ReadingHandle<R> read(ReadRequest<R> request) {
        return read(request, UnaryOperator.identity());
    }

    /**
     * Reads texts, as many as there are: those that the queue has no room for wait here. When one
     * fails the others are cancelled.
     *
     * @param requests the requests
     * @param <R> what they are answered with
     * @return the answers, in the order of the requests
     * @throws LoraConfigurationException if a request is not valid, or its adapter is not known;
     *     nothing is read then
     * @throws LoraException the reason of the first that failed
     * @throws java.util.concurrent.CancellationException if the engine was closed
     */
    public <R> List<R> readAll(List<? extends ReadRequest<R>> requests) {
        List<SequenceStart> starts = new ArrayList<>();
        for (ReadRequest<R> request : requests) {
            starts.add(check(starts.size(), request));
        }
        List<PromptReader<R>> readers = new ArrayList<>();
        List<Submission> submissions = new ArrayList<>();
        for (ReadRequest<R> request : requests) {
            PromptReader<R> reader = newReader(request);
            readers.add(reader);
            submissions.add(submission(request, reader, UnaryOperator.identity()));
        }
        List<R> answers = new ArrayList<>();
        for (List<GenerationResult> ends : answerAll(submissions, starts)) {
            answers.add(readers.get(answers.size()).result(ends.get(0)));
        }
        return answers;
    }

    private <R> PromptReader<R> newReader(ReadRequest<R> request) {
        return PromptReader.of(request, model.getConfig().hiddenSize());
    }

    private static Submission submission(
            ReadRequest<?> request,
            PromptReader<?> reader,
            UnaryOperator<Submission.Builder> said) {
        GenerationRequest prompt =
                new GenerationRequest(
                        request.tokens(), request.adapter(), UNUSED, request.unavailable());
        return said.apply(Submission.builder(prompt).optReader(reader)).build();
    }

    /**
     * Returns how the engine stands.
     *
     * @return the statistics, as of the end of the last step
     */
    public EngineStatistics statistics() {
        return statistics;
    }

    /**
     * Takes no more requests, and waits until those that were taken have ended.
     *
     * @param time the longest time to wait
     * @return whether all have ended
     * @throws InterruptedException if the thread was interrupted while it waited
     */
    public boolean drain(Duration time) throws InterruptedException {
        long deadline = System.nanoTime() + time.toNanos();
        synchronized (lock) {
            draining = true;
            while (taken > 0) {
                long left = TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime());
                if (left <= 0) {
                    return false;
                }
                lock.wait(left);
            }
            return true;
        }
    }

    /** Ends the engine after the step that runs. Requests that have not ended fail. */
    @Override
    public void close() {
        synchronized (lock) {
            draining = true;
            stopping = true;
            wakeLocked();
        }
        boolean interrupted = false;
        while (thread.isAlive() && Thread.currentThread() != thread) {
            try {
                thread.join();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private void wake() {
        synchronized (lock) {
            wakeLocked();
        }
    }

    private void wakeLocked() {
        awake = true;
        lock.notifyAll();
    }

    /** The engine's thread. */
    private void run() {
        try {
            while (takeArrivals()) {
                long now = options.ticker().getAsLong();
                endEarly(now);
                bringAdapters(now);
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
            synchronized (lock) {
                draining = true;
            }
        } finally {
            failAll();
            ending.close();
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
        while (!isAwake() && blocks.putAway(options.ticker().getAsLong())) {
            some = true;
        }
        if (some) {
            statistics = snapshot();
        }
    }

    private boolean isAwake() {
        synchronized (lock) {
            return awake;
        }
    }

    /** Returns whether the engine goes on. */
    private boolean takeArrivals() {
        List<SequenceGroup> fresh;
        synchronized (lock) {
            if (stopping) {
                return false;
            }
            awake = false;
            fresh = List.copyOf(arrived);
            arrived.clear();
            statistics = snapshotWith(fresh.size());
        }
        fresh.forEach(group -> queue.arrive(group.members().get(0)));
        return true;
    }

    private void sleep(long now) {
        long wait = Math.max(0, blocks.nanosToNext(now));
        for (Sequence sequence : queue.waiting()) {
            Duration deadline = sequence.submission().deadline();
            if (deadline != null && sequence.group().firstScheduled() < 0) {
                wait = Math.min(wait, sequence.arrival() + deadline.toNanos() - now);
            }
        }
        // 0 for any time
        long millis =
                wait == Long.MAX_VALUE ? 0 : Math.max(1, TimeUnit.NANOSECONDS.toMillis(wait) + 1);
        synchronized (lock) {
            try {
                boolean again = true;
                while (!awake && again) {
                    lock.wait(millis);
                    again = millis == 0;
                }
            } catch (InterruptedException e) {
                // nobody interrupts this thread to stop it: close() does that
                logger.debug("The engine's thread was interrupted", e);
            }
        }
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

    /** Has the adapters brought to the device of those that are next in line. */
    private void bringAdapters(long now) {
        List<Sequence> waiting = queue.waiting();
        int ahead = 0;
        for (Sequence sequence : waiting) {
            SequenceGroup group = sequence.group();
            if (sequence.index() == 0 && group.loading() != null) {
                ++ahead;
                if (group.lease() == null && group.loading().isDone()) {
                    lease(sequence);
                }
            }
        }
        Sequence next;
        while (ahead < options.adapterLookahead()
                && (next = queue.next(now, GenerationEngine::lacksAdapter)) != null) {
            ++ahead;
            acquire(next);
        }
        takeResident();
    }

    private static boolean lacksAdapter(Sequence sequence) {
        return !sequence.isReady() && sequence.group().loading() == null;
    }

    /* Those that wait for room on the device do not keep others from adapters that are there. */
    private void takeResident() {
        int looked = 0;
        for (Sequence sequence : queue.waiting()) {
            if (lacksAdapter(sequence) && ++looked <= MOST_LOOKED_AT) {
                if (isResident(sequence.request().adapter())) {
                    acquire(sequence);
                }
            }
        }
    }

    private boolean isResident(String adapter) {
        try {
            return store.partsOf(adapter).stream()
                    .allMatch(part -> store.state(part).place() == AdapterState.Place.DEVICE);
        } catch (LoraConfigurationException e) {
            // gone since the request came: the acquisition tells
            return true;
        }
    }

    private void acquire(Sequence sequence) {
        String adapter = sequence.request().adapter();
        UnavailablePolicy policy = sequence.request().unavailable();
        CompletableFuture<AdapterLease> loading;
        try {
            loading =
                    policy == null
                            ? store.acquire(adapter, options.adapterTimeout())
                            : store.acquire(adapter, options.adapterTimeout(), policy);
        } catch (LoraException | IllegalStateException e) {
            fail(sequence, e);
            return;
        }
        sequence.group().setLoading(loading);
        if (loading.isDone()) {
            lease(sequence);
        } else {
            loading.whenComplete((lease, failure) -> wake());
        }
    }

    private void lease(Sequence sequence) {
        try {
            AdapterLease lease = sequence.group().loading().join();
            sequence.group().setLease(lease);
            boolean another = lease.getSubstitution().isPresent();
            if (another && model.getLoraContext().extrasOf(lease.getMix()) != null) {
                // what was checked of the request was checked for another revision
                fail(
                        sequence,
                        new LoraVariantException(
                                "The revision of adapter \""
                                        + sequence.request().adapter()
                                        + "\" before the current one cannot stand in for it: it"
                                        + " changes more than linear layers' outputs"));
            }
        } catch (CompletionException e) {
            fail(
                    sequence,
                    e.getCause() instanceof LoraException known
                            ? known
                            : new LoraOffloadException(
                                    "Adapter \""
                                            + sequence.request().adapter()
                                            + "\" cannot be had: "
                                            + e.getCause(),
                                    e.getCause()));
        } catch (CancellationException e) {
            fail(
                    sequence,
                    new LoraOffloadException(
                            "The load of adapter \""
                                    + sequence.request().adapter()
                                    + "\" was cancelled",
                            e));
        }
    }

    private void step(List<Work> works, long now) {
        for (Work work : works) {
            Sequence sequence = work.sequence();
            if (sequence.group().firstScheduled() < 0) {
                sequence.group().setFirstScheduled(now);
                begun();
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
        stepNanos += end - now;
        record(recorder -> recorder.step(snapshot(), end - now));
    }

    /* So that an adapter is not loaded into memory that the next step needs. */
    private void reportActivations(List<Work> works) {
        int tokens = works.stream().mapToInt(Work::tokens).sum();
        long bytes = model.activationBytes(tokens, runner.logitRows(works));
        activationBytes = bytes;
        store.getMemoryMonitor().ifPresent(monitor -> monitor.reportStep(bytes));
    }

    /* Whoever makes a step fail fails alone. */
    private void run(List<Work> works) {
        long start = options.ticker().getAsLong();
        try (ModelRunner.Logits logits = runner.run(works)) {
            modelNanos += options.ticker().getAsLong() - start;
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
            promptTokens +=
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
                draftedTokens += work.draft().length;
                metTokens += met;
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
                Sequence next = newSequence(group);
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
        ++newTokens;
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
            ends.add(() -> group.answers().complete(group.results()));
        }
    }

    private void begun() {
        synchronized (lock) {
            --notBegun;
            lock.notifyAll();
        }
    }

    /** Ends a request, with all of its answers. */
    private void fail(Sequence sequence, RuntimeException reason) {
        SequenceGroup group = sequence.group();
        if (group.isEnded()) {
            return;
        }
        if (group.firstScheduled() < 0) {
            begun();
        }
        for (Sequence member : group.members()) {
            if (!member.isEnded()) {
                end(member);
            }
        }
        end(group);
        record(recorder -> recorder.failed(group.request().adapter(), reason));
        ends.add(() -> group.answers().fail(reason));
    }

    /* Users hear of an end when the statistics tell of it. */
    private void tellEnds() {
        statistics = snapshot();
        ends.forEach(Runnable::run);
        ends.clear();
        synchronized (lock) {
            taken -= endedRequests;
            lock.notifyAll();
        }
        endedRequests = 0;
    }

    private void end(Sequence sequence) {
        scheduler.end(sequence);
        sequence.release();
    }

    private void end(SequenceGroup group) {
        group.end();
        ++endedRequests;
    }

    private void failAll() {
        List<Sequence> left = new ArrayList<>(scheduler.running());
        left.addAll(queue.waiting());
        for (Sequence sequence : left) {
            fail(sequence, closed());
        }
        List<SequenceGroup> never;
        synchronized (lock) {
            never = List.copyOf(arrived);
            arrived.clear();
        }
        for (SequenceGroup group : never) {
            end(group);
            ends.add(() -> group.answers().fail(closed()));
        }
        tellEnds();
    }

    private static CancellationException closed() {
        return new CancellationException("The engine was closed before the request had ended");
    }

    private void record(Consumer<EngineRecorder> event) {
        try {
            event.accept(options.recorder());
        } catch (RuntimeException e) {
            logger.warn("The engine's recorder failed", e);
        }
    }

    private EngineStatistics snapshot() {
        return snapshotWith(0);
    }

    private EngineStatistics snapshotWith(int fresh) {
        List<Sequence> waiting = queue.waiting();
        int forAdapters = 0;
        for (Sequence sequence : waiting) {
            SequenceGroup group = sequence.group();
            forAdapters += group.loading() != null && group.lease() == null ? 1 : 0;
        }
        return new EngineStatistics(
                waiting.size() + fresh,
                forAdapters,
                scheduler.runningCount(),
                scheduler.steps(),
                promptTokens,
                newTokens,
                scheduler.cachedTokens(),
                draftedTokens,
                metTokens,
                scheduler.preemptions(),
                pool.blocks(),
                blocks.used(),
                blocks.cached(),
                pool.bytesPerBlock(),
                cold == null ? 0 : cold.size(),
                cold == null ? 0 : cold.bytes(),
                cold == null ? 0 : cold.compressions(),
                cold == null ? 0 : cold.restores(),
                modelNanos,
                stepNanos);
    }
}
