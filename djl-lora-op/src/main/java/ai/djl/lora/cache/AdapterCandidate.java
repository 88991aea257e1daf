/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.adapter.LoadReport;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * A revision that may take the place of an adapter's current one. It has a name of its own, by
 * which requests get it; to close it takes that name away, unless it has been promoted. Requests
 * that asked by that name and come later are answered by what the adapter's name leads to.
 */
public final class AdapterCandidate implements AutoCloseable {

    private final String requestName;
    private final ManagedAdapter adapter;
    private final LoadReport report;
    private final Supplier<ManagedAdapter> swap;
    private final Consumer<String> end;
    private final Consumer<ManagedAdapter> retire;
    private ManagedAdapter replaced;
    private boolean ended;

    AdapterCandidate(
            String requestName,
            ManagedAdapter adapter,
            LoadReport report,
            Supplier<ManagedAdapter> swap,
            Consumer<String> end,
            Consumer<ManagedAdapter> retire) {
        this.requestName = requestName;
        this.adapter = adapter;
        this.report = report;
        this.swap = swap;
        this.end = end;
        this.retire = retire;
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
     * Returns what was applied of it.
     *
     * @return the report
     */
    public LoadReport getReport() {
        return report;
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
        if (ended) {
            throw new IllegalStateException("The candidate has been promoted or closed");
        }
        ended = true;
        try {
            replaced = swap.get();
        } finally {
            end.accept(requestName);
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

    /** Ends the trial. What is leased is freed when its last lease is closed. */
    @Override
    public synchronized void close() {
        if (!ended) {
            ended = true;
            end.accept(requestName);
            retire.accept(adapter);
        }
    }
}
