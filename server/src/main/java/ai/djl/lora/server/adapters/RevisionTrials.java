/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters;

import ai.djl.lora.LoraException;
import ai.djl.lora.cache.AdapterCandidate;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.json.Message;
import ai.djl.lora.model.GoldenLogits;
import ai.djl.lora.model.LlamaConfig;
import ai.djl.lora.registry.AdapterRevision;
import ai.djl.lora.registry.RegisteredAdapter;
import ai.djl.lora.server.adapters.source.AdapterSources;
import ai.djl.lora.server.adapters.source.FetchedAdapter;
import ai.djl.lora.server.adapters.source.Fetching;
import ai.djl.lora.server.adapters.swap.GoldenFile;
import ai.djl.lora.server.adapters.swap.SwapFailure;
import ai.djl.lora.server.adapters.swap.SwapStep;
import ai.djl.lora.server.adapters.swap.Trial;
import ai.djl.lora.server.adapters.swap.TrialPlan;
import ai.djl.lora.server.http.Failures;
import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.server.model.ServedModel;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/** Lays revisions beside those that serve, and tries them there. */
final class RevisionTrials {

    private final ServedModel model;
    private final AdapterSources sources;

    RevisionTrials(ServedModel model, AdapterSources sources) {
        this.model = model;
        this.sources = sources;
    }

    /**
     * Brings a revision, lays it beside the one that serves, and tries it.
     *
     * @param name the adapter's own name
     * @param fetching brings the revision
     * @param request what is asked of it
     * @param plan how it is tried
     * @param seconds gets how long each step took
     * @return the revision, to be closed by the caller
     * @throws SwapFailure if it cannot be had or does not pass; nothing is left of it then
     */
    AdapterCandidate passed(
            String name,
            Fetching fetching,
            AdapterRequest request,
            TrialPlan plan,
            Map<SwapStep, Double> seconds) {
        try (FetchedAdapter adapter =
                step(SwapStep.FETCH, seconds, () -> fetching.fetch(sources))) {
            AdapterCandidate candidate =
                    passed(
                            adapter,
                            () ->
                                    store().tryOut(
                                                    name,
                                                    adapter.path(),
                                                    request.settings(adapter.given())),
                            plan,
                            seconds);
            adapter.keep();
            return candidate;
        }
    }

    /**
     * Reads the revision before an adapter's current one again, lays it beside that, and tries it.
     *
     * @param adapter the adapter
     * @param plan how it is tried
     * @param seconds gets how long each step took
     * @return the revision, to be closed by the caller
     * @throws HttpFailure of status 409 if there is no earlier revision
     * @throws SwapFailure if it cannot be had or does not pass; nothing is left of it then
     */
    AdapterCandidate previousPassed(
            RegisteredAdapter adapter, TrialPlan plan, Map<SwapStep, Double> seconds) {
        AdapterRevision older =
                adapter.previous()
                        .orElseThrow(
                                () ->
                                        AdapterFailures.conflict(
                                                "no_earlier_revision",
                                                "adapter "
                                                        + Message.quote(adapter.name())
                                                        + " has no earlier revision"));
        try (FetchedAdapter there =
                new FetchedAdapter(
                        older.source(), AdapterRequest.sourceOf(older), Optional.empty())) {
            return passed(there, () -> store().tryPrevious(adapter.name()), plan, seconds);
        }
    }

    private AdapterStore store() {
        return model.adapters();
    }

    private AdapterCandidate passed(
            FetchedAdapter adapter,
            Supplier<AdapterCandidate> loading,
            TrialPlan plan,
            Map<SwapStep, Double> seconds) {
        Optional<GoldenLogits> logits =
                plan.logits().map(file -> step(SwapStep.FETCH, seconds, () -> read(file)));
        AdapterCandidate candidate = step(SwapStep.LOAD, seconds, () -> adapter.read(loading));
        boolean good = false;
        try {
            Trial trial = new Trial(model, candidate, plan, logits);
            run(SwapStep.SMOKE, seconds, trial::smoke);
            run(SwapStep.GOLDEN, seconds, trial::golden);
            good = true;
            return candidate;
        } finally {
            if (!good) {
                candidate.close();
            }
        }
    }

    private GoldenLogits read(GoldenFile file) {
        try (FetchedAdapter golden = sources.fetch(file.source(), Optional.empty())) {
            return golden.read(
                    () -> {
                        GoldenLogits logits = GoldenLogits.read(golden.path());
                        LlamaConfig config = model.block().getConfig();
                        if (logits.sequence() < 2) {
                            throw HttpFailure.badRequest(
                                    "golden_logits",
                                    "golden_logits has rows of one token, of which nothing can be"
                                            + " compared");
                        }
                        logits.checkFits(config.vocabSize(), config.maxPositionEmbeddings());
                        return logits;
                    });
        }
    }

    /** Does a step that gives nothing back. */
    static void run(SwapStep step, Map<SwapStep, Double> seconds, Runnable work) {
        step(
                step,
                seconds,
                () -> {
                    work.run();
                    return null;
                });
    }

    /** Does a step, notes how long it took, and says of a failure that it was this step's. */
    private static <T> T step(SwapStep step, Map<SwapStep, Double> seconds, Supplier<T> work) {
        long start = System.nanoTime();
        try {
            return work.get();
        } catch (SwapFailure e) {
            throw e;
        } catch (HttpFailure | LoraException e) {
            throw new SwapFailure(step, Failures.of("", e));
        } finally {
            seconds.merge(step, (System.nanoTime() - start) / 1e9, Double::sum);
        }
    }
}
