/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import java.util.concurrent.atomic.AtomicBoolean;

/**
 * The right to use an adapter's weights. As long as a lease is open, its slot in the adapter table
 * keeps the revision that was leased, whatever happens to the adapter's name.
 */
public final class AdapterLease implements AutoCloseable {

    private final AdapterStore store;
    private final ResidentAdapter adapter;
    private final AtomicBoolean closed = new AtomicBoolean();

    AdapterLease(AdapterStore store, ResidentAdapter adapter) {
        this.store = store;
        this.adapter = adapter;
    }

    /**
     * Returns the name under which the adapter was acquired.
     *
     * @return the name
     */
    public String getName() {
        return adapter.name();
    }

    /**
     * Returns the content hash of the leased adapter.
     *
     * @return the revision, SHA-256 in hexadecimal
     */
    public String getRevision() {
        return adapter.revision();
    }

    /**
     * Returns the adapter's slot in the model's adapter table.
     *
     * @return the slot
     * @throws IllegalStateException if this lease is closed
     */
    public int getSlot() {
        if (closed.get()) {
            throw new IllegalStateException("The lease of adapter " + getName() + " is closed");
        }
        return adapter.slot();
    }

    /** Gives the adapter back. Closing twice does nothing. */
    @Override
    public void close() {
        if (!closed.getAndSet(true)) {
            store.release(adapter);
        }
    }
}
