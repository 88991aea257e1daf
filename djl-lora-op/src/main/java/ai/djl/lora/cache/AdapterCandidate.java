/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraException;
import ai.djl.lora.adapter.LoadReport;
import ai.djl.lora.registry.RegisteredAdapter;
import ai.djl.lora.registry.Registration;
import java.util.function.Supplier;

/**
 * A revision that may take the place of an adapter's current one. It has a name of its own, by
 * which requests get it; to close it takes that name away, unless it has been promoted. Requests
 * that asked by that name and come later are answered by what the adapter's name leads to.
 */
public final class AdapterCandidate implements AutoCloseable {

    private final AdapterStore store;
    private final String requestName;
    private final ManagedAdapter adapter;
    private final Registration registration;
    private final Supplier<RegisteredAdapter> promotion;
    private boolean kept;
    private ManagedAdapter replaced;
    private boolean ended;

    /**
     * Constructs a new {@code AdapterCandidate} instance.
     *
     * @param store the adapters
     * @param requestName the name by which requests get it
     * @param adapter the revision
     * @param registration what is noted of it
     * @param promotion writes into the registry that it is the current revision
     */
    AdapterCandidate(
            AdapterStore store,
            String requestName,
            ManagedAdapter adapter,
            Registration registration,
            Supplier<RegisteredAdapter> promotion) {
        this.store = store;
        this.requestName = requestName;
        this.adapter = adapter;
        this.registration = registration;
        this.promotion = promotion;
    }

    /**
     * Returns the name of the adapter whose place this may take.
     *
     * @return the adapter's own name
     */
    public String getName() {
        return adapter.name();
    }

    /**
     * Returns the name by which requests get this revision. No adapter and no alias can have it.
     *
     * @return the name
     */
    public String getRequestName() {
        return requestName;
    }

    /**
     * Returns the revision.
     *
     * @return its content hash, SHA-256 in hexadecimal
     */
    public String getRevision() {
        return adapter.revision();
    }

    /**
     * Returns what was applied of it. Where that is not known any more it is read again.
     *
     * @return the report
     * @throws ai.djl.lora.LoraException if it has to be read and cannot be
     */
    public LoadReport getReport() {
        return store.report(adapter);
    }

    /**
     * Puts this on record as the adapter's canary, or gives it another share there, so that {@link
     * AdapterStore#restoreCanary} has it after a restart. To promote or close this takes it off.
     *
     * @param share which part of the requests gets it, above 0 and at most 1
     * @throws LoraConfigurationException if there is no adapter of that name any more, or the share
     *     is not allowed
     * @throws ai.djl.lora.LoraException if the change cannot be written
     * @throws IllegalStateException if this has been promoted or closed
     */
    public synchronized void keepAsCanary(double share) {
        checkOpen();
        store.getRegistry().setCanary(registration, share);
        kept = true;
    }

    /** Notes that this is on record as the adapter's canary. */
    synchronized void setKept() {
        kept = true;
    }

    /**
     * Lets the adapter's name lead to this revision, in one step. Leases that are open keep what
     * they have.
     *
     * @throws LoraConfigurationException if there is no adapter of that name any more; the
     *     candidate is gone then
     * @throws ai.djl.lora.LoraException if a stack with this adapter in it does not allow the
     *     revision, or the change cannot be written; the candidate is gone then
     * @throws IllegalStateException if this has been promoted or closed
     */
    public synchronized void promote() {
        checkOpen();
        ended = true;
        try {
            replaced = store.swap(adapter, promotion);
        } catch (RuntimeException e) {
            forget(e);
            throw e;
        } finally {
            store.endTrial(requestName);
        }
    }

    /* What is gone must not be back after a restart. */
    private void forget(RuntimeException why) {
        if (!kept) {
            return;
        }
        try {
            store.getRegistry().endCanary(adapter.name());
        } catch (LoraException e) {
            why.addSuppressed(e);
        }
    }

    private void checkOpen() {
        if (ended) {
            throw new IllegalStateException("The candidate has been promoted or closed");
        }
    }

    /**
     * Returns whether nobody uses the revision any more whose place this has taken, and its memory
     * is free.
     *
     * @return whether it is gone; false while this has taken no place
     */
    public synchronized boolean isDrained() {
        return replaced != null && !replaced.isOnDevice();
    }

    /**
     * Ends the trial. What is leased is freed when its last lease is closed.
     *
     * @throws ai.djl.lora.LoraException if this is on record and cannot be taken off; it goes on
     *     then
     */
    @Override
    public synchronized void close() {
        if (ended) {
            return;
        }
        if (kept) {
            store.getRegistry().endCanary(adapter.name());
        }
        ended = true;
        store.endTrial(requestName);
        store.retire(adapter);
    }
}
