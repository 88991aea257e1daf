/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters;

import ai.djl.lora.adapter.LoadReport;
import ai.djl.lora.cache.AdapterCandidate;
import ai.djl.lora.registry.RegisteredAdapter;
import ai.djl.lora.server.adapters.source.Fetching;
import ai.djl.lora.server.adapters.swap.SwapFailure;
import ai.djl.lora.server.adapters.swap.SwapStep;
import ai.djl.lora.server.adapters.swap.Swapped;
import ai.djl.lora.server.adapters.swap.TrialPlan;
import ai.djl.lora.server.http.HttpFailure;
import java.time.Duration;
import java.util.EnumMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.RejectedExecutionException;

/** Puts other revisions in the place of adapters' current ones, and earlier ones back. */
public final class AdapterSwaps {

    /** How often is looked whether an old revision is still used. */
    private static final Duration POLL = Duration.ofMillis(10);

    private final RevisionTrials trials;
    private final AdapterChanges changes;
    private final AdapterNames names;
    private final AdapterCanaries canaries;

    AdapterSwaps(
            RevisionTrials trials,
            AdapterChanges changes,
            AdapterNames names,
            AdapterCanaries canaries) {
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
        return swap(
                name,
                drainTime,
                (adapter, seconds) ->
                        trials.passed(adapter.name(), fetching, request, plan, seconds));
    }

    /**
     * Puts the revision before an adapter's current one in its place, after it has been read and
     * tried again as any other. Whatever fails leaves the current one serving.
     *
     * @param name the adapter's name or an alias
     * @param plan how it is tried
     * @param drainTime how long is waited for requests that have begun with the current revision
     * @return what was done; fails with a {@link SwapFailure}, or with an {@link HttpFailure} of
     *     status 404 or 409 if nothing was begun, as where there is no earlier revision
     */
    public CompletableFuture<Swapped> rollback(String name, TrialPlan plan, Duration drainTime) {
        return swap(
                name,
                drainTime,
                (adapter, seconds) -> trials.previousPassed(adapter, plan, seconds));
    }

    /** Finds a revision that can take the place of an adapter's current one. */
    @FunctionalInterface
    private interface Candidacy {
        AdapterCandidate passed(RegisteredAdapter adapter, Map<SwapStep, Double> seconds);
    }

    /** A revision whose name leads to it, and when it came to that. */
    private record Switched(
            String before,
            AdapterCandidate candidate,
            LoadReport report,
            Map<SwapStep, Double> seconds,
            long time) {

        Swapped drained(boolean drained, long waited) {
            Map<SwapStep, Double> all = new EnumMap<>(seconds);
            all.put(SwapStep.DRAIN, waited / 1e9);
            return new Swapped(
                    candidate.getName(), before, candidate.getRevision(), report, all, drained);
        }
    }

    private CompletableFuture<Swapped> swap(String name, Duration drainTime, Candidacy candidacy) {
        return changes.later(
                        () -> {
                            String own = names.find(name).name();
                            return changes.alone(own, () -> switched(own, candidacy));
                        })
                .thenCompose(switched -> drained(switched, drainTime));
    }

    private Switched switched(String own, Candidacy candidacy) {
        canaries.checkNone(own);
        RegisteredAdapter adapter = names.find(own);
        Map<SwapStep, Double> seconds = new EnumMap<>(SwapStep.class);
        // closing it changes nothing once it has been promoted
        try (AdapterCandidate candidate = candidacy.passed(adapter, seconds)) {
            LoadReport report = candidate.getReport();
            RevisionTrials.run(SwapStep.SWITCH, seconds, candidate::promote);
            return new Switched(
                    adapter.current().hash(), candidate, report, seconds, System.nanoTime());
        }
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
}
