/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters.swap;

import ai.djl.lora.LoraException;
import ai.djl.lora.cache.AdapterCandidate;
import ai.djl.lora.generate.ScoringRequest;
import ai.djl.lora.generate.ScoringResult;
import ai.djl.lora.generate.engine.ReadingHandle;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.json.Message;
import ai.djl.lora.model.GoldenLogits;
import ai.djl.lora.server.http.Failures;
import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.server.model.ServedModel;
import ai.djl.lora.tensor.ElementType;
import ai.djl.lora.translate.TextAnswers;
import ai.djl.lora.translate.TextRequest;
import ai.djl.lora.translate.TextResult;
import ai.djl.lora.translate.TextTokenizer;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;

/** Asks a revision that no request gets yet, as requests would ask it. */
public final class Trial {

    private static final int SMOKE_TOKENS = 8;

    /**
     * How far logarithms of probabilities may lie from those of another program. Logits of float32
     * lie within 1e-4 of PEFT's, and so their differences within twice that.
     */
    private static final double TOLERANCE = 1e-3;

    /**
     * The same where numbers of 16 bits have been rounded in each layer. In bfloat16 the demo with
     * each of its adapters is at most 0.255 off, over 3,968 tokens; this is about twice that.
     */
    private static final double ROUNDED_TOLERANCE = 0.5;

    private final ServedModel model;
    private final AdapterCandidate candidate;
    private final TrialPlan plan;
    private final Optional<GoldenLogits> logits;
    private final long deadline;

    /**
     * Constructs a new {@code Trial} instance. Its time begins.
     *
     * @param model the model
     * @param candidate the revision
     * @param plan what it is asked
     * @param logits the plan's golden file, which fits the model; empty where it has none
     */
    public Trial(
            ServedModel model,
            AdapterCandidate candidate,
            TrialPlan plan,
            Optional<GoldenLogits> logits) {
        this.model = model;
        this.candidate = candidate;
        this.plan = plan;
        this.logits = logits;
        this.deadline = System.nanoTime() + plan.time().toNanos();
    }

    /**
     * Has the prompt answered of which nothing is known.
     *
     * @throws SwapFailure if it is not answered, or not by finite probabilities
     */
    public void smoke() {
        if (plan.smokePrompt().isPresent()) {
            ask(SwapStep.SMOKE, plan.smokePrompt().get(), SMOKE_TOKENS);
        }
    }

    /**
     * Has the prompts answered whose answers are known, and the tokens scored whose probabilities
     * are.
     *
     * @throws SwapFailure if an answer or a probability is another, or does not come
     */
    public void golden() {
        prompts();
        logits.ifPresent(this::scores);
    }

    private void prompts() {
        for (int i = 0; i < plan.golden().size(); ++i) {
            GoldenPrompt golden = plan.golden().get(i);
            TextTokenizer tokenizer = model.tokenizer();
            // one more, so that an answer that goes on is told from one that ends
            int tokens =
                    golden.maxTokens()
                            .orElseGet(() -> tokenizer.encode(golden.expected(), false).length + 1);
            TextResult result = ask(SwapStep.GOLDEN, golden.prompt(), tokens);
            if (!result.text().equals(golden.expected())) {
                throw failure(
                        SwapStep.GOLDEN,
                        422,
                        "trial_failed",
                        "the answer to golden["
                                + i
                                + "] "
                                + Message.quote(golden.prompt())
                                + " is "
                                + Message.quote(result.text())
                                + ", expected "
                                + Message.quote(golden.expected()),
                        null);
            }
        }
    }

    /* Read by the engine, as requests are: a file's logits say how likely each token is. */
    private void scores(GoldenLogits golden) {
        double tolerance =
                plan.logits()
                        .map(GoldenFile::tolerance)
                        .orElse(OptionalDouble.empty())
                        .orElse(rounds() ? ROUNDED_TOLERANCE : TOLERANCE);
        for (int row = 0; row < golden.batch(); ++row) {
            String where = "row " + row + " of the golden logits";
            ScoringRequest request =
                    new ScoringRequest(golden.tokens(row), 1, candidate.getRequestName());
            ReadingHandle<ScoringResult> reading =
                    begin(SwapStep.GOLDEN, () -> model.engine().read(request));
            ScoringResult result = await(SwapStep.GOLDEN, reading.result(), reading::cancel);
            checkRevision(SwapStep.GOLDEN, where, result.revision());
            double[] expected = golden.logProbs(row);
            for (int i = 0; i < expected.length; ++i) {
                double found = result.logProbs()[i];
                // also where it is not a number
                if (!(Math.abs(found - expected[i]) <= tolerance)) {
                    throw failure(
                            SwapStep.GOLDEN,
                            422,
                            "trial_failed",
                            String.format(
                                    Locale.ROOT,
                                    "%s, token %d: the logarithm of its probability is %.4f,"
                                            + " expected %.4f within %s",
                                    where,
                                    i + 1,
                                    found,
                                    expected[i],
                                    tolerance),
                            null);
                }
            }
        }
    }

    private boolean rounds() {
        return model.block().getLoraContext().getType() != ElementType.FLOAT32;
    }

    private TextResult ask(SwapStep step, String prompt, int tokens) {
        SamplingParameters sampling =
                SamplingParameters.greedy(tokens).toBuilder().logProbs(0).build();
        TextAnswers answers =
                begin(
                        step,
                        () ->
                                model.text()
                                        .begin(
                                                new TextRequest(
                                                        prompt,
                                                        candidate.getRequestName(),
                                                        sampling)));
        TextResult result = await(step, answers.result(), answers::cancel);
        checkRevision(step, Message.quote(prompt), result.revision());
        if (!Double.isFinite(result.logProb())) {
            throw failure(
                    step,
                    422,
                    "trial_failed",
                    "the answer to " + Message.quote(prompt) + " has no finite probability",
                    null);
        }
        return result;
    }

    private static <T> T begin(SwapStep step, Supplier<T> beginning) {
        try {
            return beginning.get();
        } catch (LoraException e) {
            throw new SwapFailure(step, Failures.of("", e));
        }
    }

    private <T> T await(SwapStep step, Future<T> result, Runnable cancel) {
        boolean answered = false;
        try {
            long left = Math.max(0, deadline - System.nanoTime());
            T answer = result.get(left, TimeUnit.NANOSECONDS);
            answered = true;
            return answer;
        } catch (ExecutionException e) {
            throw new SwapFailure(step, Failures.of("", e));
        } catch (TimeoutException e) {
            throw failure(
                    step,
                    422,
                    "trial_failed",
                    "the answers took longer than " + plan.time().toSeconds() + " seconds",
                    e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw failure(step, 503, "cancelled", "the server is ending", e);
        } finally {
            if (!answered) {
                cancel.run();
            }
        }
    }

    private void checkRevision(SwapStep step, String what, String revision) {
        if (!revision.equals(candidate.getRevision())) {
            throw failure(
                    step,
                    422,
                    "trial_failed",
                    what
                            + " was answered by revision "
                            + revision
                            + ", not by "
                            + candidate.getRevision(),
                    null);
        }
    }

    private static SwapFailure failure(
            SwapStep step, int status, String code, String message, Throwable cause) {
        return new SwapFailure(step, new HttpFailure(status, code, message, null, Map.of(), cause));
    }
}
