/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraException;
import ai.djl.lora.generate.GenerationRequest;
import ai.djl.lora.generate.GenerationRequestException;
import ai.djl.modality.Input;
import ai.djl.modality.Output;
import ai.djl.ndarray.BytesSupplier;
import ai.djl.ndarray.NDList;
import ai.djl.nn.Block;
import ai.djl.translate.TranslateException;
import ai.djl.translate.Translator;
import ai.djl.translate.TranslatorContext;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Answers DJL Serving's inputs with JSON.
 *
 * <p>A server puts requests of many clients into one batch. One client's mistake must not cost the
 * others their answers, so each input that is wrong is answered with an output of its own, of code
 * 400, and the rest are generated. What fails the whole batch is thrown.
 */
final class ServingTranslator implements Translator<Input, Output> {

    private static final String JOBS = "ai.djl.lora.jobs";
    private static final int BAD_REQUEST = 400;

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
        ctx.setAttachment(JOBS, inputs.stream().map(this::read).toList());
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

    private Job read(Input input) {
        Job job = new Job();
        try {
            ServingRequest request = parser.parse(input);
            job.list = request.list();
            for (GenerationInput each : request.requests()) {
                job.requests.add(translator.encode(job.requests.size(), each));
            }
        } catch (LoraConfigurationException e) {
            job.fail(e);
        }
        return job;
    }

    /** Generates all jobs that are sound as one batch; takes out the one at fault and retries. */
    private void generate(Block block, List<Job> jobs) {
        List<Job> sound = new ArrayList<>(jobs);
        while (true) {
            sound.removeIf(job -> job.error != null);
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
                job.fail(new GenerationRequestException(indexInJob, e.getReason(), e));
            }
        }
    }

    /** One input on its way to its output. */
    private static final class Job {

        private final List<GenerationRequest> requests = new ArrayList<>();
        private final List<TextResult> results = new ArrayList<>();
        private boolean list;
        private LoraConfigurationException error;

        void fail(LoraConfigurationException e) {
            error = e;
        }

        Output output() {
            if (error != null) {
                return errorOutput();
            }
            Output output = new Output();
            output.addProperty("Content-Type", "application/json");
            JsonArray answers = new JsonArray();
            for (TextResult result : results) {
                JsonObject answer = new JsonObject();
                answer.addProperty("generated_text", result.text());
                answer.addProperty("adapter", result.adapter());
                answer.addProperty("adapter_revision", result.revision());
                result.substitution()
                        .ifPresent(
                                substitution -> {
                                    String by = substitution.by().name();
                                    answer.addProperty(
                                            "substituted_by", by.toLowerCase(Locale.ROOT));
                                    answer.addProperty(
                                            "substitution_reason", substitution.reason());
                                });
                ChoiceFields.add(answer, result);
                answers.add(answer);
            }
            JsonElement body = list ? answers : answers.get(0);
            output.add(BytesSupplier.wrapAsJson(body));
            return output;
        }

        private Output errorOutput() {
            String reason =
                    error instanceof GenerationRequestException e && !list
                            ? e.getReason()
                            : error.getMessage();
            // The message becomes HTTP's reason phrase, which has no line breaks.
            String message = reason.replaceAll("\\p{Cntrl}", " ");
            Output output = new Output(BAD_REQUEST, message);
            output.addProperty("Content-Type", "application/json");
            JsonObject body = new JsonObject();
            body.addProperty("code", BAD_REQUEST);
            body.addProperty("type", "BadRequestException");
            body.addProperty("message", message);
            output.add(BytesSupplier.wrapAsJson(body));
            return output;
        }
    }
}
