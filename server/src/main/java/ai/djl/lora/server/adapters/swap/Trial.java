/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters.swap;

import ai.djl.lora.LoraException;
import ai.djl.lora.cache.AdapterCandidate;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.json.Message;
import ai.djl.lora.server.http.Failures;
import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.server.model.ServedModel;
import ai.djl.lora.translate.TextAnswers;
import ai.djl.lora.translate.TextRequest;
import ai.djl.lora.translate.TextResult;
import ai.djl.lora.translate.TextTokenizer;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Asks a revision that no request gets yet, as requests would ask it. */
public final class Trial {

    private static final int SMOKE_TOKENS = 8;

    private final ServedModel model;
    private final AdapterCandidate candidate;
    private final TrialPlan plan;
    private final long deadline;

    /**
     * Constructs a new {@code Trial} instance. Its time begins.
     *
     * @param model the model
     * @param candidate the revision
     * @param plan what it is asked
     */
    public Trial(ServedModel model, AdapterCandidate candidate, TrialPlan plan) {
        this.model = model;
        this.candidate = candidate;
        this.plan = plan;
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
     * Has the prompts answered whose answers are known.
     *
     * @throws SwapFailure if an answer is another, or does not come
     */
    public void golden() {
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

    private TextResult ask(SwapStep step, String prompt, int tokens) {
        SamplingParameters sampling =
                SamplingParameters.greedy(tokens).toBuilder().logProbs(0).build();
        TextAnswers answers = null;
        boolean answered = false;
        try {
            answers =
                    model.text()
                            .begin(new TextRequest(prompt, candidate.getRequestName(), sampling));
            long left = Math.max(0, deadline - System.nanoTime());
            TextResult result = answers.result().get(left, TimeUnit.NANOSECONDS);
            answered = true;
            check(step, prompt, result);
            return result;
        } catch (LoraException | ExecutionException e) {
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
            if (answers != null && !answered) {
                answers.cancel();
            }
        }
    }

    private void check(SwapStep step, String prompt, TextResult result) {
        if (!result.revision().equals(candidate.getRevision())) {
            throw failure(
                    step,
                    422,
                    "trial_failed",
                    Message.quote(prompt)
                            + " was answered by revision "
                            + result.revision()
                            + ", not by "
                            + candidate.getRevision(),
                    null);
        }
        if (!Double.isFinite(result.logProb())) {
            throw failure(
                    step,
                    422,
                    "trial_failed",
                    "the answer to " + Message.quote(prompt) + " has no finite probability",
                    null);
        }
    }

    private static SwapFailure failure(
            SwapStep step, int status, String code, String message, Throwable cause) {
        return new SwapFailure(step, new HttpFailure(status, code, message, null, Map.of(), cause));
    }
}
