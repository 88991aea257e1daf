/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters;

import ai.djl.lora.LoraException;
import ai.djl.lora.cache.AdapterCandidate;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.json.Message;
import ai.djl.lora.registry.RegisteredAdapter;
import ai.djl.lora.server.adapters.source.Fetching;
import ai.djl.lora.server.adapters.swap.SwapFailure;
import ai.djl.lora.server.adapters.swap.SwapStep;
import ai.djl.lora.server.adapters.swap.TrialPlan;
import ai.djl.lora.server.http.HttpFailure;
import java.util.EnumMap;

/** Gives shares of adapters' requests other revisions, until those get all of them or none. */
public final class AdapterCanaries {

    private final AdapterStore store;
    private final AdapterTargets targets;
    private final RevisionTrials trials;
    private final AdapterChanges changes;
    private final AdapterNames names;

    AdapterCanaries(
            AdapterStore store,
            AdapterTargets targets,
            RevisionTrials trials,
            AdapterChanges changes,
            AdapterNames names) {
        this.store = store;
        this.targets = targets;
        this.trials = trials;
        this.changes = changes;
        this.names = names;
    }

    /** Gives the canaries that are on record their shares again, as they had before a restart. */
    void restore() {
        for (RegisteredAdapter adapter : store.getRegistry().list()) {
            if (!adapter.retired()) {
                adapter.canary().ifPresent(canary -> restore(adapter.name(), canary.share()));
            }
        }
    }

    private void restore(String own, double share) {
        store.restoreCanary(own)
                .ifPresent(candidate -> targets.setCanary(new Canary(candidate, share)));
    }

    /**
     * Gives a share of an adapter's requests another revision, after it has been tried.
     *
     * @param name the adapter's name or an alias
     * @param fetching brings the revision
     * @param request what is asked of it
     * @param plan how it is tried
     * @param share which part of the sessions gets it, above 0 and at most 1
     * @return the canary
     * @throws SwapFailure if the revision cannot be had or does not pass
     * @throws HttpFailure of status 404 or 409 if nothing was begun
     * @throws LoraException if it cannot be put on record; nothing is left of it then
     */
    public Canary begin(
            String name, Fetching fetching, AdapterRequest request, TrialPlan plan, double share) {
        Canary.checkShare(share);
        String own = names.find(name).name();
        return changes.alone(
                own,
                () -> {
                    checkNone(own);
                    AdapterCandidate candidate =
                            trials.passed(
                                    own, fetching, request, plan, new EnumMap<>(SwapStep.class));
                    boolean kept = false;
                    try {
                        Canary canary = begin(candidate, share);
                        kept = true;
                        return canary;
                    } finally {
                        if (!kept) {
                            candidate.close();
                        }
                    }
                });
    }

    /* First the record, then the requests: what a crash leaves is what goes on after it. */
    private Canary begin(AdapterCandidate candidate, double share) {
        candidate.keepAsCanary(share);
        Canary canary = new Canary(candidate, share);
        targets.setCanary(canary);
        return canary;
    }

    /**
     * Changes the share of a canary.
     *
     * @param name the adapter's name or an alias
     * @param share which part of the sessions gets it, above 0 and at most 1
     * @return the canary
     * @throws HttpFailure of status 404 if there is none
     * @throws LoraException if it cannot be put on record; the share is as it was then
     */
    public Canary setShare(String name, double share) {
        Canary.checkShare(share);
        String own = names.find(name).name();
        return changes.alone(own, () -> begin(find(own).candidate(), share));
    }

    /**
     * Gives all requests of an adapter its canary's revision.
     *
     * @param name the adapter's name or an alias
     * @return the canary that was
     * @throws HttpFailure of status 404 if there is none
     */
    public Canary promote(String name) {
        String own = names.find(name).name();
        return changes.alone(
                own,
                () -> {
                    Canary canary = find(own);
                    try {
                        canary.candidate().promote();
                    } finally {
                        // one that cannot be promoted is gone
                        targets.endCanary(own);
                    }
                    return canary;
                });
    }

    /**
     * Gives all requests of an adapter its current revision again.
     *
     * @param name the adapter's name or an alias
     * @return the canary that was
     * @throws HttpFailure of status 404 if there is none
     * @throws LoraException if it cannot be taken off the record; it goes on then
     */
    public Canary end(String name) {
        String own = names.find(name).name();
        return changes.alone(
                own,
                () -> {
                    Canary canary = find(own);
                    end(canary);
                    return canary;
                });
    }

    private void end(Canary canary) {
        // who asks for the candidate from now on gets the current revision
        canary.candidate().close();
        targets.endCanary(canary.candidate().getName());
    }

    private Canary find(String own) {
        return targets.canary(own)
                .orElseThrow(
                        () ->
                                new HttpFailure(
                                        404,
                                        "no_canary",
                                        "adapter " + Message.quote(own) + " has no canary"));
    }

    /** Refuses what cannot be done to an adapter while it has a canary. */
    void checkNone(String own) {
        if (targets.canary(own).isPresent()) {
            throw AdapterFailures.conflict(
                    "canary_active",
                    "adapter " + Message.quote(own) + " has a canary; promote or end that first");
        }
    }

    /** Ends the canary of an adapter that is gone, if it had one. */
    void forget(String own) {
        targets.canary(own).ifPresent(this::end);
    }
}
