/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.adapter.LoadReport;
import ai.djl.lora.adapter.LoadingPolicy;
import ai.djl.lora.adapter.LoraAdapter;
import java.nio.file.Path;

/** An adapter in a slot of the table, with the count of its leases. Guarded by its store's lock. */
final class ResidentAdapter {

    private final String name;
    private final Path source;
    private final String revision;
    private final LoadingPolicy policy;
    private final int slot;
    private final LoadReport report;
    private final boolean stackable;
    private final String variants;
    private int leases;
    private boolean retired;

    ResidentAdapter(String name, LoraAdapter adapter, LoadingPolicy policy, int slot) {
        this.name = name;
        this.source = adapter.source();
        this.revision = adapter.revision();
        this.policy = policy;
        this.slot = slot;
        this.report = adapter.report();
        this.stackable = adapter.changes().isStackable();
        this.variants = adapter.changes().variants();
    }

    String name() {
        return name;
    }

    Path source() {
        return source;
    }

    String revision() {
        return revision;
    }

    /** Returns how strict to be when the adapter is read again. */
    LoadingPolicy policy() {
        return policy;
    }

    int slot() {
        return slot;
    }

    LoadReport report() {
        return report;
    }

    /** Returns whether the adapter can be weighted and added to others. */
    boolean isStackable() {
        return stackable;
    }

    /** Returns the methods by which the adapter was trained, for messages. */
    String variants() {
        return variants;
    }

    void lease() {
        ++leases;
    }

    void release() {
        --leases;
    }

    int leases() {
        return leases;
    }

    void retire() {
        retired = true;
    }

    /** Returns whether nobody can reach this adapter any more. */
    boolean isGarbage() {
        return retired && leases == 0;
    }
}
