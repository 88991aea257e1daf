/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraException;
import ai.djl.lora.LoraOffloadException;
import ai.djl.lora.op.AdapterMix;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.function.LongSupplier;

/**
 * Gives leases: at once and without a lock of what is on the device, of the rest when it has been
 * loaded, and of what may answer instead when it cannot be.
 */
final class Leasing {

    private final AdapterCatalog catalog;
    private final AdapterLoads loads;
    private final Function<ManagedAdapter, Optional<ManagedAdapter>> previous;
    private final UnavailablePolicy unavailable;
    private final LongSupplier ticker;

    /**
     * Constructs a new {@code Leasing} instance.
     *
     * @param catalog the names
     * @param loads what loads adapters
     * @param previous finds the revision before an adapter's
     * @param unavailable what happens when an adapter cannot be had of which nobody says it
     * @param ticker the time in nanoseconds
     */
    Leasing(
            AdapterCatalog catalog,
            AdapterLoads loads,
            Function<ManagedAdapter, Optional<ManagedAdapter>> previous,
            UnavailablePolicy unavailable,
            LongSupplier ticker) {
        this.catalog = catalog;
        this.loads = loads;
        this.previous = previous;
        this.unavailable = unavailable;
        this.ticker = ticker;
    }

    /**
     * Leases an adapter or a stack, and waits for what has to be loaded. Without a policy the
     * adapter's own holds, or the one for all.
     */
    AdapterLease acquire(String name, Duration timeout, UnavailablePolicy policy) {
        AdapterLease lease = tryLease(name, catalog.partsOf(name));
        return lease != null ? lease : join(name, acquireAsync(name, timeout, policy));
    }

    /** Leases an adapter or a stack when all of it is on the device. */
    CompletableFuture<AdapterLease> acquireAsync(
            String name, Duration timeout, UnavailablePolicy policy) {
        Stack parts = catalog.partsOf(name);
        AdapterLease lease = tryLease(name, parts);
        if (lease != null) {
            return CompletableFuture.completedFuture(lease);
        }
        // an unknown name is told at once, and of no policy's concern
        parts.names().forEach(catalog::find);
        UnavailablePolicy applied = policy == null ? policyOf(name, parts) : policy;
        Request request = new Request(name, applied, ticker.getAsLong() + timeout.toNanos());
        request.expireAfter(timeout);
        request.attempt(1, applied.backoff());
        return request.result;
    }

    private UnavailablePolicy policyOf(String name, Stack parts) {
        // what holds for a part alone need not do for a stack
        UnavailablePolicy own = isAdapter(name, parts) ? catalog.find(name).unavailable() : null;
        return own == null ? unavailable : own;
    }

    private static boolean isAdapter(String name, Stack parts) {
        return parts.names().size() == 1 && parts.names().get(0).equals(name);
    }

    /** Returns the lease if every part is on the device, or null. */
    private AdapterLease tryLease(String name, Stack stack) {
        List<String> names = stack.names();
        ManagedAdapter[] leased = new ManagedAdapter[names.size()];
        for (int i = 0; i < leased.length; ++i) {
            ManagedAdapter adapter = catalog.find(names.get(i));
            if (!adapter.tryLease()) {
                for (int j = 0; j < i; ++j) {
                    loads.release(leased[j]);
                }
                return null;
            }
            leased[i] = adapter;
        }
        long now = ticker.getAsLong();
        for (ManagedAdapter adapter : leased) {
            loads.hit(adapter, now);
        }
        return newLease(name, stack, List.of(leased), null);
    }

    private AdapterLease newLease(
            String name, Stack stack, List<ManagedAdapter> leased, Substitution substitution) {
        int[] slots = new int[leased.size()];
        for (int i = 0; i < slots.length; ++i) {
            slots[i] = leased.get(i).slot();
        }
        AdapterMix mix = AdapterMix.stack(slots, stack.weights());
        return new AdapterLease(loads::release, name, leased, mix, substitution);
    }

    private static AdapterLease join(String name, CompletableFuture<AdapterLease> future) {
        try {
            return future.get();
        } catch (InterruptedException e) {
            future.cancel(false);
            Thread.currentThread().interrupt();
            throw new LoraOffloadException(
                    "The thread was interrupted while it waited for adapter \"" + name + '"', e);
        } catch (ExecutionException e) {
            throw known(e.getCause());
        }
    }

    private static LoraException known(Throwable failure) {
        Throwable cause = failure instanceof CompletionException ? failure.getCause() : failure;
        return cause instanceof LoraException known
                ? known
                : new LoraOffloadException("An adapter could not be loaded: " + cause, cause);
    }

    /** One request for an adapter or a stack that was not on the device. */
    private final class Request {

        private final CompletableFuture<AdapterLease> result = new CompletableFuture<>();
        private final String name;
        private final UnavailablePolicy policy;
        private final long deadline;

        /** What is waited for now. */
        private volatile List<CompletableFuture<ManagedAdapter>> waits = List.of();

        Request(String name, UnavailablePolicy policy, long deadline) {
            this.name = name;
            this.policy = policy;
            this.deadline = deadline;
        }

        void expireAfter(Duration timeout) {
            CompletableFuture<Void> timer = new CompletableFuture<>();
            timer.completeOnTimeout(null, timeout.toNanos(), TimeUnit.NANOSECONDS)
                    .thenRun(() -> substituteOrFail(late(timeout)));
            result.whenComplete(
                    (lease, failure) -> {
                        timer.cancel(false);
                        // those that wait for room are not to be loaded for nobody
                        abandon();
                    });
        }

        private LoraException late(Duration timeout) {
            return new LoraOffloadException(
                    "Adapter \""
                            + name
                            + "\" was not on the device within "
                            + timeout.toMillis()
                            + " ms");
        }

        private void abandon() {
            waits.forEach(wait -> wait.cancel(false));
        }

        void attempt(int number, Duration backoff) {
            if (result.isDone()) {
                return;
            }
            Stack parts;
            List<CompletableFuture<ManagedAdapter>> begun = new ArrayList<>();
            try {
                parts = catalog.partsOf(name);
                for (String part : parts.names()) {
                    begun.add(loads.leased(catalog.find(part)));
                }
            } catch (LoraConfigurationException | IllegalStateException e) {
                // the name is gone, or the store
                giveBack(begun);
                result.completeExceptionally(e);
                return;
            }
            waits = List.copyOf(begun);
            CompletableFuture.allOf(begun.toArray(new CompletableFuture<?>[0]))
                    .whenComplete(
                            (done, failure) -> {
                                if (failure == null) {
                                    List<ManagedAdapter> leased =
                                            begun.stream().map(CompletableFuture::join).toList();
                                    complete(newLease(name, parts, leased, null));
                                } else {
                                    giveBack(begun);
                                    retry(number, backoff, known(failure));
                                }
                            });
        }

        private void complete(AdapterLease lease) {
            if (!result.complete(lease)) {
                lease.close();
            }
        }

        private void giveBack(List<CompletableFuture<ManagedAdapter>> begun) {
            for (CompletableFuture<ManagedAdapter> wait : begun) {
                wait.thenAccept(loads::release);
            }
        }

        private void retry(int number, Duration backoff, LoraException failure) {
            boolean inTime = ticker.getAsLong() + backoff.toNanos() - deadline < 0;
            if (number < policy.tries() && inTime) {
                CompletableFuture.delayedExecutor(backoff.toNanos(), TimeUnit.NANOSECONDS)
                        .execute(() -> attempt(number + 1, backoff.multipliedBy(2)));
            } else {
                substituteOrFail(failure);
            }
        }

        private void substituteOrFail(LoraException failure) {
            if (result.isDone()) {
                return;
            }
            Optional<ManagedAdapter> older =
                    policy.previousRevision() ? previousRevision() : Optional.empty();
            if (older.isPresent()) {
                loads.leased(older.get())
                        .whenComplete(
                                (leased, again) -> {
                                    if (again == null) {
                                        complete(substituted(leased, failure));
                                    } else {
                                        baseOrFail(failure);
                                    }
                                });
            } else {
                baseOrFail(failure);
            }
        }

        private Optional<ManagedAdapter> previousRevision() {
            try {
                Stack parts = catalog.partsOf(name);
                // half of a stack in another revision is neither
                return isAdapter(name, parts)
                        ? previous.apply(catalog.find(name))
                        : Optional.empty();
            } catch (LoraConfigurationException | IllegalStateException e) {
                return Optional.empty();
            }
        }

        private AdapterLease substituted(ManagedAdapter leased, LoraException failure) {
            Substitution substitution =
                    new Substitution(Substitution.By.PREVIOUS_REVISION, failure.getMessage());
            return newLease(name, Stack.of(name), List.of(leased), substitution);
        }

        private void baseOrFail(LoraException failure) {
            if (policy.base()) {
                Substitution substitution =
                        new Substitution(Substitution.By.BASE, failure.getMessage());
                complete(
                        new AdapterLease(
                                loads::release, name, List.of(), AdapterMix.BASE, substitution));
            } else {
                result.completeExceptionally(failure);
            }
        }
    }
}
