/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraException;
import ai.djl.lora.LoraOffloadException;
import ai.djl.lora.LoraVariantException;
import ai.djl.lora.cache.AdapterLease;
import ai.djl.lora.cache.AdapterState;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.cache.UnavailablePolicy;
import ai.djl.lora.model.CausalLanguageModel;
import ai.djl.lora.op.LoraContext;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.BiConsumer;

/**
 * Has adapters brought to the device while the requests that need them wait, so that none of them
 * blocks others. For the engine's thread alone.
 */
final class AdapterWaits {

    /** How many waiting requests are looked at in a step for adapters that are there already. */
    private static final int MOST_LOOKED_AT = 64;

    private final LoraContext context;
    private final AdapterStore store;
    private final FairQueue queue;
    private final int lookahead;
    private final Duration timeout;
    private final Runnable wake;
    private final BiConsumer<Sequence, RuntimeException> failed;

    /**
     * Constructs a new {@code AdapterWaits} instance.
     *
     * @param model the model that has the adapters
     * @param options how far ahead it looks, and how long it waits
     * @param queue the sequences that wait
     * @param wake tells the engine, from any thread, that an adapter is there
     * @param failed is told of a sequence whose adapter cannot be had, and why
     */
    AdapterWaits(
            CausalLanguageModel model,
            EngineOptions options,
            FairQueue queue,
            Runnable wake,
            BiConsumer<Sequence, RuntimeException> failed) {
        this.context = model.getLoraContext();
        this.store = model.getAdapters();
        this.queue = queue;
        this.lookahead = options.adapterLookahead();
        this.timeout = options.adapterTimeout();
        this.wake = wake;
        this.failed = failed;
    }

    /** Has the adapters brought to the device of those that are next in line. */
    void bring(long now) {
        List<Sequence> waiting = queue.waiting();
        int ahead = 0;
        for (Sequence sequence : waiting) {
            SequenceGroup group = sequence.group();
            if (sequence.index() == 0 && group.loading() != null) {
                ++ahead;
                if (group.lease() == null && group.loading().isDone()) {
                    lease(sequence);
                }
            }
        }
        Sequence next;
        while (ahead < lookahead && (next = queue.next(now, AdapterWaits::lacksAdapter)) != null) {
            ++ahead;
            acquire(next);
        }
        takeResident();
    }

    private static boolean lacksAdapter(Sequence sequence) {
        return !sequence.isReady() && sequence.group().loading() == null;
    }

    /* Those that wait for room on the device do not keep others from adapters that are there. */
    private void takeResident() {
        int looked = 0;
        for (Sequence sequence : queue.waiting()) {
            if (lacksAdapter(sequence) && ++looked <= MOST_LOOKED_AT) {
                if (isResident(sequence.request().adapter())) {
                    acquire(sequence);
                }
            }
        }
    }

    private boolean isResident(String adapter) {
        try {
            return store.partsOf(adapter).stream()
                    .allMatch(part -> store.state(part).place() == AdapterState.Place.DEVICE);
        } catch (LoraConfigurationException e) {
            // gone since the request came: the acquisition tells
            return true;
        }
    }

    private void acquire(Sequence sequence) {
        String adapter = sequence.request().adapter();
        UnavailablePolicy policy = sequence.request().unavailable();
        CompletableFuture<AdapterLease> loading;
        try {
            loading =
                    policy == null
                            ? store.acquire(adapter, timeout)
                            : store.acquire(adapter, timeout, policy);
        } catch (LoraException | IllegalStateException e) {
            failed.accept(sequence, e);
            return;
        }
        sequence.group().setLoading(loading);
        if (loading.isDone()) {
            lease(sequence);
        } else {
            loading.whenComplete((lease, failure) -> wake.run());
        }
    }

    private void lease(Sequence sequence) {
        try {
            AdapterLease lease = sequence.group().loading().join();
            sequence.group().setLease(lease);
            boolean another = lease.getSubstitution().isPresent();
            if (another && context.extrasOf(lease.getMix()) != null) {
                // what was checked of the request was checked for another revision
                failed.accept(
                        sequence,
                        new LoraVariantException(
                                "The revision of adapter \""
                                        + sequence.request().adapter()
                                        + "\" before the current one cannot stand in for it: it"
                                        + " changes more than linear layers' outputs"));
            }
        } catch (CompletionException e) {
            failed.accept(
                    sequence,
                    e.getCause() instanceof LoraException known
                            ? known
                            : new LoraOffloadException(
                                    "Adapter \""
                                            + sequence.request().adapter()
                                            + "\" cannot be had: "
                                            + e.getCause(),
                                    e.getCause()));
        } catch (CancellationException e) {
            failed.accept(
                    sequence,
                    new LoraOffloadException(
                            "The load of adapter \""
                                    + sequence.request().adapter()
                                    + "\" was cancelled",
                            e));
        }
    }
}
