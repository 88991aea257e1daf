/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.lora.LoraBackendException;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraException;
import ai.djl.lora.LoraMemoryException;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.generate.GenerationRequest;
import ai.djl.lora.generate.GenerationRequestException;
import ai.djl.lora.generate.GenerationResult;
import ai.djl.lora.generate.ReadRequest;
import ai.djl.lora.generate.RequestValidator;
import ai.djl.lora.generate.sampling.Sampler;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.generate.sampling.SamplingWorkspace;
import ai.djl.lora.memory.Registration;
import ai.djl.lora.model.CausalLanguageModel;
import ai.djl.lora.model.KvPool;
import ai.djl.lora.op.SequenceStart;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.UnaryOperator;

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

    /** The sampling of texts of which no token is chosen. */
    private static final SamplingParameters UNUSED = SamplingParameters.greedy(1);

    private final CausalLanguageModel model;
    private final EngineOptions options;
    private final AdapterStore store;
    private final SamplingWorkspace workspace = new SamplingWorkspace();
    private final RequestValidator validator;
    private final AtomicLong lastId = new AtomicLong();
    private final Intake intake;
    private final EngineLoop loop;
    private final Registration ending;
    private final Thread thread;

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
        this.intake = new Intake(options.maxQueue());
        this.loop = new EngineLoop(model, options, intake, this::newSequence, this::forgetEnding);
        this.ending = model.getLoraContext().addEnding(this::close);
        this.thread = new Thread(loop, "djl-lora-engine");
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
        return intake
                .offer(
                        submissions.size(),
                        () -> {
                            List<SequenceGroup> groups = new ArrayList<>();
                            for (Submission submission : submissions) {
                                groups.add(newGroup(submission, starts.get(groups.size())));
                            }
                            return groups;
                        })
                .stream()
                .map(SequenceGroup::answers)
                .toList();
    }

    private SequenceGroup newGroup(Submission submission, SequenceStart start) {
        AnswerGroup answers = new AnswerGroup(submission.request().sampling(), intake::wake);
        long now = options.ticker().getAsLong();
        SequenceGroup group = new SequenceGroup(submission, answers, start, now);
        group.add(newSequence(group));
        return group;
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
        if (needed > loop.kvBlocks()) {
            throw new LoraMemoryException(
                    "The request may take "
                            + positions
                            + " positions, "
                            + needed
                            + " KV blocks; the engine has "
                            + loop.kvBlocks()
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
                SequenceStart start = starts.get(groups.size());
                groups.add(intake.offerWhenRoom(() -> newGroup(submission, start)).answers());
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
        return loop.statistics();
    }

    /**
     * Returns how far the engine has come.
     *
     * @return the state; whoever is told {@link EngineState#RUNNING} may still come too late
     */
    public EngineState state() {
        if (!thread.isAlive()) {
            return EngineState.ENDED;
        }
        return intake.isOpen() ? EngineState.RUNNING : EngineState.DRAINING;
    }

    /**
     * Takes no more requests, and waits until those that were taken have ended.
     *
     * @param time the longest time to wait
     * @return whether all have ended
     * @throws InterruptedException if the thread was interrupted while it waited
     */
    public boolean drain(Duration time) throws InterruptedException {
        return intake.drain(time);
    }

    /** Ends the engine after the step that runs. Requests that have not ended fail. */
    @Override
    public void close() {
        intake.stop();
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

    private void forgetEnding() {
        ending.close();
    }
}
