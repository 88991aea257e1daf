/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraException;
import ai.djl.lora.adapter.LoadReport;
import ai.djl.lora.cache.AdapterCandidate;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.json.Message;
import ai.djl.lora.registry.AdapterRevision;
import ai.djl.lora.registry.RegisteredAdapter;
import ai.djl.lora.server.adapters.source.AdapterSources;
import ai.djl.lora.server.adapters.source.FetchedAdapter;
import ai.djl.lora.server.adapters.swap.SwapFailure;
import ai.djl.lora.server.adapters.swap.SwapStep;
import ai.djl.lora.server.adapters.swap.Trial;
import ai.djl.lora.server.adapters.swap.TrialPlan;
import ai.djl.lora.server.http.Failures;
import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.server.model.ServedModel;
import java.nio.file.Path;
import java.time.Duration;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/**
 * Changes the adapters of a model while it is served: one change of an adapter at a time, and none
 * that would leave a name with less than it had when it fails.
 */
public final class AdapterManager implements AutoCloseable {

    private static final int WORKERS = 4;
    private static final int WAITING = 256;

    /** How often is looked for copies that nothing needs, and how long they are left then. */
    private static final Duration SWEEP = Duration.ofSeconds(30);

    private static final Duration POLL = Duration.ofMillis(10);

    private final ServedModel model;
    private final AdapterStore store;
    private final AdapterTargets targets;
    private final AdapterSources sources;
    private final Set<String> busy = ConcurrentHashMap.newKeySet();
    private final ThreadPoolExecutor workers;
    private final ScheduledThreadPoolExecutor timer;

    /**
     * Constructs a new {@code AdapterManager} instance.
     *
     * @param model the model
     * @param targets which adapter requests get
     * @param sources where adapters come from; closed with this
     */
    public AdapterManager(ServedModel model, AdapterTargets targets, AdapterSources sources) {
        this.model = model;
        this.store = model.adapters();
        this.targets = targets;
        this.sources = sources;
        workers =
                new ThreadPoolExecutor(
                        WORKERS,
                        WORKERS,
                        30,
                        TimeUnit.SECONDS,
                        new ArrayBlockingQueue<>(WAITING),
                        task -> thread(task, "djl-lora-adapters"));
        workers.allowCoreThreadTimeOut(true);
        timer = new ScheduledThreadPoolExecutor(1, task -> thread(task, "djl-lora-copies"));
        timer.scheduleWithFixedDelay(
                () -> sweep(SWEEP), SWEEP.toSeconds(), SWEEP.toSeconds(), TimeUnit.SECONDS);
    }

    private static Thread thread(Runnable task, String name) {
        Thread thread = new Thread(task, name);
        thread.setDaemon(true);
        return thread;
    }

    /**
     * Does something that takes its time, on a thread for that.
     *
     * @param work the work
     * @param <T> what comes out
     * @return what comes out, later; fails with what is thrown, and with an {@link HttpFailure} of
     *     status 503 if too much waits
     */
    public <T> CompletableFuture<T> later(Supplier<T> work) {
        CompletableFuture<T> result = new CompletableFuture<>();
        try {
            workers.execute(
                    () -> {
                        try {
                            result.complete(work.get());
                        } catch (RuntimeException | Error e) {
                            result.completeExceptionally(e);
                        }
                    });
        } catch (RejectedExecutionException e) {
            result.completeExceptionally(
                    new HttpFailure(
                            503,
                            "server_busy",
                            "too many changes of adapters are waiting",
                            null,
                            Map.of("Retry-After", "1"),
                            e));
        }
        return result;
    }

    /**
     * Returns the adapter of a name.
     *
     * @param name its name or an alias
     * @return what is on record of it
     * @throws HttpFailure of status 404 if there is none that answers requests
     */
    public RegisteredAdapter find(String name) {
        return store.getRegistry()
                .find(name)
                .filter(adapter -> !adapter.retired())
                .orElseThrow(() -> unknown(name));
    }

    private static HttpFailure unknown(String name) {
        return new HttpFailure(
                404, "adapter_not_found", "there is no adapter " + Message.quote(name));
    }

    private static HttpFailure conflict(String code, String message) {
        return new HttpFailure(409, code, message);
    }

    /** Lets nobody else change an adapter while this does. */
    private <T> T alone(String name, Supplier<T> change) {
        if (!busy.add(name)) {
            throw new HttpFailure(
                    409,
                    "adapter_busy",
                    "adapter " + Message.quote(name) + " is being changed by another request",
                    null,
                    Map.of("Retry-After", "1"),
                    null);
        }
        try {
            return change.get();
        } finally {
            busy.remove(name);
        }
    }

    /** Something that brings an adapter to where it can be read. */
    @FunctionalInterface
    public interface Fetching {

        /**
         * Brings an adapter to where it can be read.
         *
         * @param from where adapters come from
         * @return the adapter
         */
        FetchedAdapter fetch(AdapterSources from);
    }

    /**
     * Registers an adapter.
     *
     * @param name its name
     * @param fetching brings it
     * @param request what is asked of it
     * @return what was applied
     * @throws HttpFailure if the name is taken or cannot be one, the adapter may not or cannot be
     *     fetched, or does not fit
     */
    public LoadReport register(String name, Fetching fetching, AdapterRequest request) {
        return alone(
                name,
                () -> {
                    checkFree(name);
                    try (FetchedAdapter adapter = fetching.fetch(sources)) {
                        LoadReport report =
                                told(
                                        adapter,
                                        () ->
                                                store.register(
                                                        name,
                                                        adapter.path(),
                                                        request.settings(adapter.given())));
                        adapter.keep();
                        if (!request.preload() && !request.pinned().orElse(false)) {
                            store.offload(name);
                        }
                        return report;
                    }
                });
    }

    private void checkFree(String name) {
        if (targets.has(name)) {
            throw conflict(
                    "adapter_exists", "there is an adapter " + Message.quote(name) + " already");
        }
        checkNotModel(name);
    }

    private void checkNotModel(String name) {
        if (name.equals(model.name())) {
            throw conflict(
                    "adapter_exists", Message.quote(name) + " is the name of the base model");
        }
    }

    private static <T> T told(FetchedAdapter adapter, Supplier<T> work) {
        try {
            return work.get();
        } catch (LoraException e) {
            throw AdapterSources.hidden(adapter, e);
        }
    }

    /**
     * Takes an adapter or a stack away. Requests that have begun with it end with it.
     *
     * @param name its own name
     * @throws HttpFailure of status 404 if there is none, of 409 if something depends on it
     */
    public void unregister(String name) {
        if (store.stackNames().contains(name)) {
            checkNotDefault(name);
            store.unregister(name);
            return;
        }
        String own = find(name).name();
        alone(
                own,
                () -> {
                    if (!own.equals(name)) {
                        throw conflict(
                                "adapter_in_use",
                                Message.quote(name)
                                        + " is an alias of "
                                        + Message.quote(own)
                                        + "; take the alias away, or the adapter by its own name");
                    }
                    checkNotDefault(own);
                    List<String> aliases = aliasesOf(own);
                    if (!aliases.isEmpty()) {
                        throw conflict(
                                "adapter_in_use",
                                "adapter "
                                        + Message.quote(own)
                                        + " has the alias "
                                        + Message.quote(aliases.get(0))
                                        + "; take that away first");
                    }
                    takeAway(own);
                    targets.canary(own).ifPresent(this::end);
                    return null;
                });
    }

    private void takeAway(String name) {
        try {
            store.unregister(name);
        } catch (LoraConfigurationException e) {
            // it is part of a stack, or has got an alias meanwhile
            throw new HttpFailure(
                    409, "adapter_in_use", e.getMessage(), null, Map.of("Retry-After", "1"), e);
        }
    }

    private void checkNotDefault(String name) {
        if (targets.defaultAdapter().equals(name)) {
            throw conflict(
                    "adapter_in_use",
                    Message.quote(name)
                            + " is what requests get that name no adapter; switch to another first");
        }
    }

    /**
     * Returns the names that stand for an adapter.
     *
     * @param name the adapter's own name
     * @return the aliases, also those of aliases, sorted
     */
    public List<String> aliasesOf(String name) {
        return store.getRegistry().aliases().keySet().stream()
                .filter(
                        alias ->
                                store.getRegistry()
                                        .find(alias)
                                        .filter(adapter -> adapter.name().equals(name))
                                        .isPresent())
                .sorted()
                .toList();
    }

    /**
     * What a change of revision has done.
     *
     * @param name the adapter's own name
     * @param before the revision that requests got before
     * @param after the one that they get now
     * @param report what is applied of it
     * @param seconds how long each step took
     * @param drained whether nobody uses the old revision any more
     */
    public record Swapped(
            String name,
            String before,
            String after,
            LoadReport report,
            Map<SwapStep, Double> seconds,
            boolean drained) {}

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
        return later(() -> swap(name, fetching, request, plan))
                .thenCompose(swap -> drained(swap, drainTime));
    }

    /** A revision whose name leads to it, and what was before. */
    private record Switched(Swapped swapped, AdapterCandidate candidate, long time) {}

    private Switched swap(String name, Fetching fetching, AdapterRequest request, TrialPlan plan) {
        String own = find(name).name();
        return alone(
                own,
                () -> {
                    checkNoCanary(own);
                    Map<SwapStep, Double> seconds = new EnumMap<>(SwapStep.class);
                    String before = find(own).current().hash();
                    AdapterCandidate candidate = tried(own, fetching, request, plan, seconds);
                    step(SwapStep.SWITCH, seconds, () -> promote(candidate));
                    return new Switched(
                            new Swapped(
                                    own,
                                    before,
                                    candidate.getRevision(),
                                    candidate.getReport(),
                                    seconds,
                                    false),
                            candidate,
                            System.nanoTime());
                });
    }

    private static Void promote(AdapterCandidate candidate) {
        candidate.promote();
        return null;
    }

    /** Brings a revision, lays it beside the one that serves, and tries it. */
    private AdapterCandidate tried(
            String name,
            Fetching fetching,
            AdapterRequest request,
            TrialPlan plan,
            Map<SwapStep, Double> seconds) {
        try (FetchedAdapter adapter =
                step(SwapStep.FETCH, seconds, () -> fetching.fetch(sources))) {
            AdapterCandidate candidate =
                    step(
                            SwapStep.LOAD,
                            seconds,
                            () ->
                                    told(
                                            adapter,
                                            () ->
                                                    store.tryOut(
                                                            name,
                                                            adapter.path(),
                                                            request.settings(adapter.given()))));
            boolean good = false;
            try {
                Trial trial = new Trial(model, candidate, plan);
                step(SwapStep.SMOKE, seconds, () -> smoke(trial));
                step(SwapStep.GOLDEN, seconds, () -> golden(trial));
                adapter.keep();
                good = true;
                return candidate;
            } finally {
                if (!good) {
                    candidate.close();
                }
            }
        }
    }

    private static Void smoke(Trial trial) {
        trial.smoke();
        return null;
    }

    private static Void golden(Trial trial) {
        trial.golden();
        return null;
    }

    private static <T> T step(SwapStep step, Map<SwapStep, Double> seconds, Supplier<T> work) {
        long start = System.nanoTime();
        try {
            return work.get();
        } catch (SwapFailure e) {
            throw e;
        } catch (HttpFailure | LoraException e) {
            throw new SwapFailure(step, Failures.of("", e));
        } finally {
            seconds.put(step, (System.nanoTime() - start) / 1e9);
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
            Swapped swapped = switched.swapped;
            swapped.seconds.put(SwapStep.DRAIN, waited / 1e9);
            result.complete(
                    new Swapped(
                            swapped.name,
                            swapped.before,
                            swapped.after,
                            swapped.report,
                            swapped.seconds,
                            drained));
            return;
        }
        try {
            timer.schedule(
                    () -> poll(switched, time, result), POLL.toMillis(), TimeUnit.MILLISECONDS);
        } catch (RejectedExecutionException e) {
            result.completeExceptionally(new HttpFailure(503, "cancelled", "the server is ending"));
        }
    }

    private void checkNoCanary(String name) {
        if (targets.canary(name).isPresent()) {
            throw conflict(
                    "canary_active",
                    "adapter " + Message.quote(name) + " has a canary; promote or end that first");
        }
    }

    /**
     * Puts the revision before the current one in its place.
     *
     * @param name the adapter's name or an alias
     * @return what was applied
     * @throws HttpFailure of status 409 if there is no earlier revision or something else is in the
     *     way
     */
    public LoadReport rollback(String name) {
        String own = find(name).name();
        return alone(
                own,
                () -> {
                    checkNoCanary(own);
                    AdapterRevision older =
                            find(own)
                                    .previous()
                                    .orElseThrow(
                                            () ->
                                                    conflict(
                                                            "no_earlier_revision",
                                                            "adapter "
                                                                    + Message.quote(own)
                                                                    + " has no earlier revision"));
                    try (FetchedAdapter shown =
                            new FetchedAdapter(older.source(), sourceOf(older), Optional.empty())) {
                        return told(shown, () -> store.rollback(own));
                    }
                });
    }

    /**
     * Returns a revision's source as it was given.
     *
     * @param revision the revision
     * @return what whoever registered it called it
     */
    public static String sourceOf(AdapterRevision revision) {
        return revision.metadata()
                .getOrDefault(AdapterRequest.SOURCE, revision.source().toString());
    }

    /**
     * Brings an adapter to the device.
     *
     * @param name its name
     * @return completes when it is there
     */
    public CompletableFuture<Void> prefetch(String name) {
        return store.preload(List.of(find(name).name()));
    }

    /**
     * Keeps an adapter on the device, or lets it leave again.
     *
     * @param name its name
     * @param pinned whether it stays
     */
    public void pin(String name, boolean pinned) {
        store.setPinned(find(name).name(), pinned);
    }

    /**
     * Sets what requests get that name no adapter.
     *
     * @param name the name of an adapter, a stack or an alias; that of the model for the base model
     * @throws HttpFailure of status 404 if there is none
     */
    public void switchDefault(String name) {
        boolean base = name.equals(model.name()) && !targets.has(name);
        if (!base && !targets.has(name)) {
            throw unknown(name);
        }
        targets.setDefaultAdapter(base ? "" : name);
    }

    /**
     * Lets a name stand for an adapter.
     *
     * @param alias the name
     * @param name the adapter's name
     * @throws HttpFailure of status 404 if there is no such adapter, of 409 if the alias is taken
     */
    public void alias(String alias, String name) {
        find(name);
        checkNotModel(alias);
        if (store.names().contains(alias) || store.stackNames().contains(alias)) {
            throw conflict(
                    "adapter_exists", "there is an adapter " + Message.quote(alias) + " already");
        }
        store.alias(alias, name);
    }

    /**
     * Takes an alias of an adapter away.
     *
     * @param alias the alias
     * @param name the adapter's name
     * @throws HttpFailure of status 404 if the adapter has no such alias, of 409 if something
     *     depends on it
     */
    public void unalias(String alias, String name) {
        String own = find(name).name();
        if (!aliasesOf(own).contains(alias)) {
            throw new HttpFailure(
                    404,
                    "alias_not_found",
                    "adapter " + Message.quote(own) + " has no alias " + Message.quote(alias));
        }
        checkNotDefault(alias);
        store.unalias(alias);
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
     * @throws HttpFailure as with {@link #hotSwap}
     */
    public Canary beginCanary(
            String name, Fetching fetching, AdapterRequest request, TrialPlan plan, double share) {
        Canary.checkShare(share);
        String own = find(name).name();
        return alone(
                own,
                () -> {
                    checkNoCanary(own);
                    AdapterCandidate candidate =
                            tried(own, fetching, request, plan, new EnumMap<>(SwapStep.class));
                    Canary canary = new Canary(candidate, share);
                    targets.setCanary(canary);
                    return canary;
                });
    }

    /**
     * Changes the share of a canary.
     *
     * @param name the adapter's name or an alias
     * @param share which part of the sessions gets it, above 0 and at most 1
     * @return the canary
     * @throws HttpFailure of status 404 if there is none
     */
    public Canary setShare(String name, double share) {
        Canary.checkShare(share);
        String own = find(name).name();
        return alone(
                own,
                () -> {
                    Canary canary = new Canary(canary(own).candidate(), share);
                    targets.setCanary(canary);
                    return canary;
                });
    }

    private Canary canary(String own) {
        return targets.canary(own)
                .orElseThrow(
                        () ->
                                new HttpFailure(
                                        404,
                                        "no_canary",
                                        "adapter " + Message.quote(own) + " has no canary"));
    }

    /**
     * Gives all requests of an adapter its canary's revision.
     *
     * @param name the adapter's name or an alias
     * @return the canary that was
     * @throws HttpFailure of status 404 if there is none
     */
    public Canary promoteCanary(String name) {
        String own = find(name).name();
        return alone(
                own,
                () -> {
                    Canary canary = canary(own);
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
     */
    public Canary endCanary(String name) {
        String own = find(name).name();
        return alone(
                own,
                () -> {
                    Canary canary = canary(own);
                    end(canary);
                    return canary;
                });
    }

    private void end(Canary canary) {
        targets.endCanary(canary.candidate().getName());
        canary.candidate().close();
    }

    /**
     * Deletes copies of adapters that nothing has needed for a time.
     *
     * @param time the time
     */
    public void sweep(Duration time) {
        Set<Path> needed = new HashSet<>(store.sources());
        for (RegisteredAdapter adapter : store.getRegistry().list()) {
            adapter.revisions().forEach(revision -> needed.add(revision.source()));
        }
        sources.sweep(needed, time);
    }

    /** Ends changes that wait, and deletes copies that are not kept. */
    @Override
    public void close() {
        timer.shutdownNow();
        workers.shutdownNow();
        try {
            workers.awaitTermination(5, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        sources.close();
    }
}
