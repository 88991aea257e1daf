/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import java.util.function.ToDoubleFunction;

/**
 * The sequences that wait for a step, in an order that is fair to tenants and, within a tenant, to
 * adapters: each has a counter of the service it was given, weighted, and whoever has been given
 * least is next (the virtual token counter of Sheng et al., "Fairness in Serving Large Language
 * Models", OSDI 2024). Who was away and comes back does not find credit: its counter is lifted to
 * the least of those that are there.
 *
 * <p>Before that comes what has run already and lost its place, then what has waited for longer
 * than a limit, the oldest first, then what has the higher priority. So nothing waits for more than
 * the limit and the time that those take which were overdue before it.
 */
final class FairQueue {

    private final long maxWait;
    private final ToDoubleFunction<String> tenantWeight;
    private final ToDoubleFunction<String> adapterWeight;
    private final List<Sequence> waiting = new ArrayList<>();
    private final Map<String, Tenant> tenants = new HashMap<>();

    /**
     * Constructs a new {@code FairQueue} instance.
     *
     * @param maxWait the nanoseconds after which a sequence comes before others
     * @param tenantWeight each tenant's share, above 0
     * @param adapterWeight each adapter's share of its tenant's, above 0
     */
    FairQueue(
            long maxWait,
            ToDoubleFunction<String> tenantWeight,
            ToDoubleFunction<String> adapterWeight) {
        this.maxWait = maxWait;
        this.tenantWeight = tenantWeight;
        this.adapterWeight = adapterWeight;
    }

    /** What somebody was given, and how many of its sequences are in the engine. */
    private static class Account {
        double served;
        int present;
        int running;
    }

    private static final class Tenant extends Account {
        final Map<String, Account> adapters = new HashMap<>();
    }

    /** Adds a new sequence. */
    void arrive(Sequence sequence) {
        Tenant tenant =
                tenants.computeIfAbsent(sequence.submission().tenant(), key -> new Tenant());
        enter(tenant, tenants.values());
        enter(
                tenant.adapters.computeIfAbsent(adapter(sequence), key -> new Account()),
                tenant.adapters.values());
        waiting.add(sequence);
    }

    private static void enter(Account account, Iterable<? extends Account> all) {
        if (account.present == 0) {
            double least = Double.POSITIVE_INFINITY;
            for (Account other : all) {
                if (other.present > 0) {
                    least = Math.min(least, other.served);
                }
            }
            if (least < Double.POSITIVE_INFINITY) {
                account.served = Math.max(account.served, least);
            }
        }
        ++account.present;
    }

    /** Forgets a sequence that has ended; accounts that nobody needs go with it. */
    void leave(Sequence sequence, boolean wasRunning) {
        waiting.remove(sequence);
        String name = sequence.submission().tenant();
        Tenant tenant = tenants.get(name);
        Account adapter = tenant.adapters.get(adapter(sequence));
        if (wasRunning) {
            --tenant.running;
            --adapter.running;
        }
        if (--adapter.present == 0 && isLeast(adapter, tenant.adapters.values())) {
            tenant.adapters.remove(adapter(sequence));
        }
        if (--tenant.present == 0 && isLeast(tenant, tenants.values())) {
            tenants.remove(name);
        }
    }

    /* Who comes back with no more than the others have would be lifted to theirs in any case. */
    private static boolean isLeast(Account account, Iterable<? extends Account> all) {
        for (Account other : all) {
            if (other.present > 0 && other.served < account.served) {
                return false;
            }
        }
        return true;
    }

    /** Takes a sequence out, which runs now. */
    void start(Sequence sequence) {
        waiting.remove(sequence);
        count(sequence, 1);
    }

    /** Puts a sequence back, which was running. */
    void putBack(Sequence sequence) {
        waiting.add(sequence);
        count(sequence, -1);
    }

    private void count(Sequence sequence, int change) {
        Tenant tenant = tenants.get(sequence.submission().tenant());
        tenant.running += change;
        tenant.adapters.get(adapter(sequence)).running += change;
    }

    /** Counts service that a sequence was given. */
    void charge(Sequence sequence, double cost) {
        String name = sequence.submission().tenant();
        Tenant tenant = tenants.get(name);
        tenant.served += cost / tenantWeight.applyAsDouble(name);
        String adapter = adapter(sequence);
        tenant.adapters.get(adapter).served += cost / adapterWeight.applyAsDouble(adapter);
    }

    /** Returns the sequence that is next among some, or null. */
    Sequence next(long now, Predicate<Sequence> among) {
        Comparator<Sequence> order = order(now);
        Sequence first = null;
        for (Sequence sequence : waiting) {
            if (among.test(sequence) && (first == null || order.compare(sequence, first) < 0)) {
                first = sequence;
            }
        }
        return first;
    }

    private Comparator<Sequence> order(long now) {
        return Comparator.<Sequence, Boolean>comparing(s -> s.preemptions() == 0)
                .thenComparing(s -> isOverdue(s, now) ? 0 : 1)
                .thenComparing(s -> isOverdue(s, now) ? s.id() : 0L)
                .thenComparing(s -> -s.submission().priority())
                .thenComparing(s -> tenants.get(s.submission().tenant()).served)
                .thenComparing(s -> tenants.get(s.submission().tenant()).running)
                .thenComparing(s -> account(s).served)
                .thenComparing(s -> account(s).running)
                .thenComparing(Sequence::id);
    }

    private boolean isOverdue(Sequence sequence, long now) {
        return now - sequence.arrival() > maxWait;
    }

    private Account account(Sequence sequence) {
        return tenants.get(sequence.submission().tenant()).adapters.get(adapter(sequence));
    }

    private static String adapter(Sequence sequence) {
        return sequence.request().adapter();
    }

    /** Returns the sequences that wait, in no order. */
    List<Sequence> waiting() {
        return List.copyOf(waiting);
    }

    int size() {
        return waiting.size();
    }
}
