/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters;

import ai.djl.lora.adapter.LoadReport;
import ai.djl.lora.cache.AdapterCandidate;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.json.Message;
import ai.djl.lora.registry.AdapterRevision;
import ai.djl.lora.server.adapters.source.FetchedAdapter;
import ai.djl.lora.server.adapters.source.Fetching;
import ai.djl.lora.server.adapters.swap.SwapFailure;
import ai.djl.lora.server.adapters.swap.SwapStep;
import ai.djl.lora.server.adapters.swap.Swapped;
import ai.djl.lora.server.adapters.swap.TrialPlan;
import ai.djl.lora.server.http.HttpFailure;
import java.time.Duration;
import java.util.EnumMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.RejectedExecutionException;

/** Puts other revisions in the place of adapters' current ones, and earlier ones back. */
public final class AdapterSwaps {

    /** How often is looked whether an old revision is still used. */
    private static final Duration POLL = Duration.ofMillis(10);

    private final AdapterStore store;
    private final RevisionTrials trials;
    private final AdapterChanges changes;
    private final AdapterNames names;
    private final AdapterCanaries canaries;

    AdapterSwaps(
            AdapterStore store,
            RevisionTrials trials,
            AdapterChanges changes,
            AdapterNames names,
            AdapterCanaries canaries) {
        this.store = store;
        this.trials = trials;
        this.changes = changes;
        this.names = names;
        this.canaries = canaries;
    }

    /**
     * Puts another revision in the place of an adapter's, after it has been tried. Whatever fails
     * leaves the old one serving.
     *
     * @param name the adapter's name or an alias
     * @param fetching brings the new revision
     * @param request what is asked of it
     * @param plan how it is tried
     * @param drainTime how long is waited for requests that have begun with the old revision
     * @return what was done; fails with a {@link SwapFailure}, or with an {@link HttpFailure} of
     *     status 404 or 409 if nothing was begun
     */
    public CompletableFuture<Swapped> hotSwap(
            String name,
            Fetching fetching,
            AdapterRequest request,
            TrialPlan plan,
            Duration drainTime) {
        return changes.later(() -> swap(name, fetching, request, plan))
                .thenCompose(swap -> drained(swap, drainTime));
    }

    /** A revision whose name leads to it, and when it came to that. */
    private record Switched(
            String before, AdapterCandidate candidate, Map<SwapStep, Double> seconds, long time) {

        Swapped drained(boolean drained, long waited) {
            Map<SwapStep, Double> all = new EnumMap<>(seconds);
            all.put(SwapStep.DRAIN, waited / 1e9);
            return new Swapped(
                    candidate.getName(),
                    before,
                    candidate.getRevision(),
                    candidate.getReport(),
                    all,
                    drained);
        }
    }

    private Switched swap(String name, Fetching fetching, AdapterRequest request, TrialPlan plan) {
        String own = names.find(name).name();
        return changes.alone(
                own,
                () -> {
                    canaries.checkNone(own);
                    Map<SwapStep, Double> seconds = new EnumMap<>(SwapStep.class);
                    String before = names.find(own).current().hash();
                    AdapterCandidate candidate =
                            trials.passed(own, fetching, request, plan, seconds);
                    RevisionTrials.run(SwapStep.SWITCH, seconds, candidate::promote);
                    return new Switched(before, candidate, seconds, System.nanoTime());
                });
    }

    private CompletableFuture<Swapped> drained(Switched switched, Duration time) {
        CompletableFuture<Swapped> result = new CompletableFuture<>();
        poll(switched, time, result);
        return result;
    }

    private void poll(Switched switched, Duration time, CompletableFuture<Swapped> result) {
        boolean drained = switched.candidate.isDrained();
        long waited = System.nanoTime() - switched.time;
        if (drained || waited >= time.toNanos()) {
            result.complete(switched.drained(drained, waited));
            return;
        }
        try {
            changes.after(POLL, () -> poll(switched, time, result));
        } catch (RejectedExecutionException e) {
            result.completeExceptionally(new HttpFailure(503, "cancelled", "the server is ending"));
        }
    }

    /**
     * Puts the revision before the current one in its place.
     *
     * @param name the adapter's name or an alias
     * @return what was applied
     * @throws HttpFailure of status 409 if there is no earlier revision or something else is in the
     *     way
     */
    public LoadReport rollback(String name) {
        String own = names.find(name).name();
        return changes.alone(
                own,
                () -> {
                    canaries.checkNone(own);
                    AdapterRevision older =
                            names.find(own)
                                    .previous()
                                    .orElseThrow(
                                            () ->
                                                    AdapterFailures.conflict(
                                                            "no_earlier_revision",
                                                            "adapter "
                                                                    + Message.quote(own)
                                                                    + " has no earlier revision"));
                    try (FetchedAdapter shown =
                            new FetchedAdapter(
                                    older.source(),
                                    AdapterRequest.sourceOf(older),
                                    Optional.empty())) {
                        return shown.read(() -> store.rollback(own));
                    }
                });
    }
}
