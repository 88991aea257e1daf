/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/**
 * The one load of an adapter that is under way, and everybody who waits for it. Guarded by the
 * adapter's monitor.
 */
final class Load {

    private final List<CompletableFuture<ManagedAdapter>> waiters = new ArrayList<>();

    /** Returns a future that completes with the adapter leased. */
    CompletableFuture<ManagedAdapter> join() {
        CompletableFuture<ManagedAdapter> waiter = new CompletableFuture<>();
        waiters.add(waiter);
        return waiter;
    }

    List<CompletableFuture<ManagedAdapter>> waiters() {
        return waiters;
    }
}
