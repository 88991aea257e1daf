/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraException;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.generate.GenerationRequestException;
import ai.djl.lora.generate.ReadRequest;
import ai.djl.lora.generate.engine.GenerationEngine;
import ai.djl.modality.Input;
import ai.djl.modality.Output;
import ai.djl.ndarray.NDList;
import ai.djl.translate.TranslateException;
import ai.djl.translate.Translator;
import ai.djl.translate.TranslatorContext;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiFunction;
import java.util.function.Function;

/**
 * Has the texts of DJL Serving's inputs read, all of a batch in common steps, and answers with
 * JSON. An input that is wrong is answered with an output of its own, of code 400.
 *
 * @param <R> what the engine answers
 */
final class ReadingServingTranslator<R> implements Translator<Input, Output> {

    private static final String JOBS = "ai.djl.lora.readJobs";

    private final BiFunction<Input, AdapterNaming, ReadingBody<R>> parser;
    private final Function<R, JsonObject> json;

    /**
     * Constructs a new {@code ReadingServingTranslator} instance.
     *
     * @param parser reads an input
     * @param json writes an answer
     */
    ReadingServingTranslator(
            BiFunction<Input, AdapterNaming, ReadingBody<R>> parser, Function<R, JsonObject> json) {
        this.parser = parser;
        this.json = json;
    }

    /** One input on its way to its output. */
    private static final class Job<R> {

        private final JsonArray answers = new JsonArray();
        private List<ReadRequest<R>> requests = List.of();
        private boolean list;
        private LoraConfigurationException error;

        /** What is answered where that is known otherwise. */
        private Output output;

        /** Returns whether it is still to be answered. */
        boolean isOpen() {
            return error == null && output == null;
        }

        /** Answers that it failed, if it is known why; a fault of the engine is thrown. */
        void fail(LoraException e) {
            boolean adapters = requests.stream().anyMatch(request -> !request.adapter().isEmpty());
            output = AnswerJson.failure(e, adapters);
        }

        Output output() {
            if (output != null) {
                return output;
            }
            return error == null
                    ? AnswerJson.output(list ? answers : answers.get(0))
                    : AnswerJson.badRequest(error, list);
        }
    }

    /** {@inheritDoc} */
    @Override
    public NDList batchProcessInput(TranslatorContext ctx, List<Input> inputs) {
        AdapterStore store = TextGenerationTranslator.model(ctx.getBlock()).getAdapters();
        ctx.setAttachment(JOBS, inputs.stream().map(input -> read(input, store)).toList());
        return new NDList();
    }

    private Job<R> read(Input input, AdapterStore store) {
        Job<R> job = new Job<>();
        if (AdapterJobs.isJob(input)) {
            job.output = new AdapterJobs(store).run(input);
            return job;
        }
        try {
            ReadingBody<R> body = parser.apply(input, AdapterNaming.of(store));
            job.list = body.list();
            job.requests = body.requests();
        } catch (LoraConfigurationException e) {
            job.error = e;
        }
        return job;
    }

    /** {@inheritDoc} */
    @Override
    @SuppressWarnings("unchecked")
    public List<Output> batchProcessOutput(TranslatorContext ctx, NDList list)
            throws TranslateException {
        List<Job<R>> jobs = (List<Job<R>>) ctx.getAttachment(JOBS);
        try {
            GenerationEngine engine =
                    GenerationEngine.of(TextGenerationTranslator.model(ctx.getBlock()));
            read(engine, jobs);
        } catch (LoraException e) {
            throw new TranslateException(e.getMessage(), e);
        }
        return jobs.stream().map(Job::output).toList();
    }

    /** Answers all jobs; one that fails by its adapter costs no other its answer. */
    private void read(GenerationEngine engine, List<Job<R>> jobs) {
        List<Job<R>> open = jobs.stream().filter(Job::isOpen).toList();
        try {
            while (!readSound(engine, open)) {
                // one more is known to be wrong: the others again, of which nothing has run
                continue;
            }
        } catch (LoraException e) {
            if (open.size() == 1) {
                open.get(0).fail(e);
                return;
            }
            for (Job<R> job : open) {
                read(engine, List.of(job));
            }
        }
    }

    /** Reads all jobs that are sound, or takes out the first that is not. */
    private boolean readSound(GenerationEngine engine, List<Job<R>> jobs) {
        List<ReadRequest<R>> batch = new ArrayList<>();
        List<Job<R>> jobOfText = new ArrayList<>();
        for (Job<R> job : jobs) {
            if (job.isOpen()) {
                batch.addAll(job.requests);
                job.requests.forEach(request -> jobOfText.add(job));
            }
        }
        if (batch.isEmpty()) {
            return true;
        }
        try {
            List<R> answers = engine.readAll(batch);
            for (int i = 0; i < answers.size(); ++i) {
                jobOfText.get(i).answers.add(json.apply(answers.get(i)));
            }
            return true;
        } catch (GenerationRequestException e) {
            Job<R> job = jobOfText.get(e.getIndex());
            int indexInJob = e.getIndex() - jobOfText.indexOf(job);
            job.error = new GenerationRequestException(indexInJob, e.getReason(), e.getCause());
            return false;
        }
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
}
