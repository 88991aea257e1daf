/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.inference.streaming.ChunkedBytesSupplier;
import ai.djl.inference.streaming.StreamingTranslator;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraException;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.generate.GenerationRequest;
import ai.djl.lora.generate.GenerationRequestException;
import ai.djl.lora.generate.engine.EngineBusyException;
import ai.djl.modality.Input;
import ai.djl.modality.Output;
import ai.djl.ndarray.NDList;
import ai.djl.nn.Block;
import ai.djl.translate.TranslateException;
import ai.djl.translate.TranslatorContext;
import com.google.gson.JsonArray;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/**
 * Answers DJL Serving's inputs with JSON.
 *
 * <p>A server puts requests of many clients into one batch. One client's mistake must not cost the
 * others their answers, so each input that is wrong is answered with an output of its own, of code
 * 400, or 424 where its adapter cannot be had, and the rest are generated. What fails the whole
 * batch is thrown. Inputs with a {@code handler} are about adapters, see {@link AdapterJobs}. An
 * answer that is to be streamed has begun when its output is returned, and fills it from then on;
 * what fails it is told in the stream.
 */
final class ServingTranslator implements StreamingTranslator<Input, Output> {

    private static final String JOBS = "ai.djl.lora.jobs";

    private final TextGenerationTranslator translator;
    private final ServingRequestParser parser;

    /**
     * Constructs a new {@code ServingTranslator} instance.
     *
     * @param translator does the work
     */
    ServingTranslator(TextGenerationTranslator translator) {
        this.translator = translator;
        this.parser = new ServingRequestParser(translator.defaults());
    }

    /** {@inheritDoc} */
    @Override
    public NDList batchProcessInput(TranslatorContext ctx, List<Input> inputs) {
        AdapterStore store = TextGenerationTranslator.model(ctx.getBlock()).getAdapters();
        ctx.setAttachment(JOBS, inputs.stream().map(input -> read(input, store)).toList());
        return new NDList();
    }

    /** {@inheritDoc} */
    @Override
    @SuppressWarnings("unchecked")
    public List<Output> batchProcessOutput(TranslatorContext ctx, NDList list)
            throws TranslateException {
        List<Job> jobs = (List<Job>) ctx.getAttachment(JOBS);
        try {
            generate(ctx.getBlock(), jobs);
        } catch (LoraException e) {
            throw new TranslateException(e.getMessage(), e);
        }
        return jobs.stream().map(Job::output).toList();
    }

    /** {@inheritDoc} */
    @Override
    public NDList processInput(TranslatorContext ctx, Input input) {
        return batchProcessInput(ctx, List.of(input));
    }

    /** {@inheritDoc} */
    @Override
    public Output processOutput(TranslatorContext ctx, NDList list) throws TranslateException {
        return batchProcessOutput(ctx, list).get(0);
    }

    private Job read(Input input, AdapterStore store) {
        Job job = new Job(input);
        if (AdapterJobs.isJob(input)) {
            job.output = new AdapterJobs(store).run(input);
            return job;
        }
        try {
            ServingRequest request = parser.parse(input, AdapterNaming.of(store));
            job.list = request.list();
            job.stream = request.stream();
            for (GenerationInput each : request.requests()) {
                job.requests.add(translator.encode(job.requests.size(), each));
            }
        } catch (LoraConfigurationException e) {
            job.refuse(e);
        }
        return job;
    }

    /** Answers all jobs that are sound; those that are streamed have begun when this returns. */
    private void generate(Block block, List<Job> jobs) {
        jobs.stream().filter(Job::isOpen).filter(job -> job.stream).forEach(j -> begin(block, j));
        List<Job> whole = jobs.stream().filter(Job::isOpen).filter(job -> !job.stream).toList();
        try {
            generateSound(block, new ArrayList<>(whole));
        } catch (LoraException e) {
            if (whole.size() == 1) {
                whole.get(0).fail(e);
                return;
            }
            // such as an adapter that could not be had: each alone, so that it costs its own
            for (Job job : whole) {
                job.results.clear();
                if (job.isOpen()) {
                    generate(block, List.of(job));
                }
            }
        }
    }

    /** Generates jobs as one batch; takes out the one at fault and retries. */
    private void generateSound(Block block, List<Job> sound) {
        while (true) {
            sound.removeIf(job -> job.error != null);
            if (sound.isEmpty()) {
                return;
            }
            List<GenerationRequest> batch = new ArrayList<>();
            List<Job> jobOfRow = new ArrayList<>();
            for (Job job : sound) {
                for (GenerationRequest request : job.requests) {
                    batch.add(request);
                    jobOfRow.add(job);
                }
            }
            try {
                List<TextResult> results = translator.generate(block, batch);
                for (int i = 0; i < results.size(); ++i) {
                    jobOfRow.get(i).results.add(results.get(i));
                }
                return;
            } catch (GenerationRequestException e) {
                // All requests are checked before any is generated: nothing is computed twice.
                Job job = jobOfRow.get(e.getIndex());
                int indexInJob = e.getIndex() - jobOfRow.indexOf(job);
                job.refuse(new GenerationRequestException(indexInJob, e.getReason(), e.getCause()));
            }
        }
    }

    /** Begins with an answer that is read while it is written. */
    private void begin(Block block, Job job) {
        try {
            job.answer = translator.begin(block, job.requests).get(0);
        } catch (LoraConfigurationException e) {
            job.refuse(e);
            return;
        } catch (EngineBusyException e) {
            job.output = AnswerJson.busy(e);
            return;
        }
        ChunkedBytesSupplier content = new ChunkedBytesSupplier();
        job.output = new Output();
        job.output.addProperty("Content-Type", "application/jsonlines");
        job.output.add(content);
        job.answer.handle().tokens().subscribe(new JsonLines(job.answer, job.input, content));
    }

    /** {@inheritDoc} */
    @Override
    public Support getSupport() {
        return Support.BOTH;
    }

    /**
     * {@inheritDoc}
     *
     * <p>The request says whether its answer is streamed; one that is not comes as a whole.
     */
    @Override
    @SuppressWarnings("unchecked")
    public StreamOutput<Output> processStreamOutput(TranslatorContext ctx, Stream<NDList> list)
            throws TranslateException {
        // the answer has no need of the context, which ends with the block's empty stream
        try (list) {
            Output output = processOutput(ctx, new NDList());
            Job job = ((List<Job>) ctx.getAttachment(JOBS)).get(0);
            return new StartedOutput<>(() -> output, ignored -> job.await());
        }
    }

    /** One input on its way to its output. */
    private static final class Job {

        private final List<GenerationRequest> requests = new ArrayList<>();
        private final List<TextResult> results = new ArrayList<>();
        private boolean list;
        private final Input input;
        private boolean stream;
        private LoraConfigurationException error;

        /** What is answered where that is known before anything is generated. */
        private Output output;

        private StreamedAnswer answer;

        Job(Input input) {
            this.input = input;
        }

        /** Returns whether it is still to be answered. */
        boolean isOpen() {
            return error == null && output == null;
        }

        void refuse(LoraConfigurationException e) {
            error = e;
        }

        /** Answers that it failed, if it is known why; a fault of the engine is thrown. */
        void fail(LoraException e) {
            boolean adapters = requests.stream().anyMatch(request -> !request.adapter().isEmpty());
            output = AnswerJson.failure(e, adapters);
        }

        /** Waits for the end of an answer that is streamed; the stream tells of failures. */
        void await() {
            if (answer != null) {
                answer.await();
            }
        }

        Output output() {
            if (error != null) {
                return AnswerJson.badRequest(error, list);
            }
            if (output != null) {
                return output;
            }
            JsonArray answers = new JsonArray();
            for (TextResult result : results) {
                answers.add(ServingAnswers.whole(result.adapter(), result));
            }
            return AnswerJson.output(list ? answers : answers.get(0));
        }
    }
}
