/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.LoraCompatibilityException;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraException;
import ai.djl.lora.LoraMemoryException;
import ai.djl.lora.LoraOffloadException;
import ai.djl.lora.LoraVariantException;
import ai.djl.lora.adapter.AdapterLoader;
import ai.djl.lora.adapter.LoadReport;
import ai.djl.lora.adapter.LoraAdapter;
import ai.djl.lora.cache.policy.CacheEntry;
import ai.djl.lora.cache.policy.EvictionStrategies;
import ai.djl.lora.op.AdapterExtras;
import ai.djl.lora.op.AdapterMix;
import ai.djl.lora.op.AdapterTable;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.PackedAdapter;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;
import java.util.function.LongSupplier;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The adapters of one model: registered by name, read from their files into the host's memory and
 * from there onto the device when they are asked for, and reached through leases alone.
 *
 * <p>Each tier has limits of its own, which are never exceeded; what leaves when there is no room
 * is chosen by a strategy among what nobody uses. Acquiring an adapter that is on the device takes
 * no lock. One that is not is loaded by a worker, once, however many ask for it.
 *
 * <p>Files are checked whole when an adapter is registered. When they are read again they must hold
 * the same revision.
 */
public final class AdapterStore implements AutoCloseable {

    private static final Logger logger = LoggerFactory.getLogger(AdapterStore.class);

    private final LoraContext context;
    private final StoreOptions options;
    private final AdapterReader reader;
    private final LongSupplier ticker;
    private final Tier device;
    private final HostTier host;
    private final LoadQueue queue;
    private final FailedLoads failures;
    private final Map<String, ManagedAdapter> adapters = new ConcurrentHashMap<>();
    private final Map<String, Stack> stacks = new ConcurrentHashMap<>();

    /** Every adapter on the device, by id: the named ones, and retired ones that are leased. */
    private final Map<String, ManagedAdapter> residents = new ConcurrentHashMap<>();

    private final Set<String> registering = new TreeSet<>();
    private final AtomicLong ids = new AtomicLong();
    private volatile boolean closed;

    /**
     * Constructs a new {@code AdapterStore} instance with the default limits.
     *
     * @param context the model's context
     */
    public AdapterStore(LoraContext context) {
        this(context, StoreOptions.builder().build());
    }

    /**
     * Constructs a new {@code AdapterStore} instance.
     *
     * @param context the model's context
     * @param options how much it may hold, what leaves first, and how loads run
     */
    public AdapterStore(LoraContext context, StoreOptions options) {
        this(context, options, AdapterStore::load, System::nanoTime);
    }

    AdapterStore(
            LoraContext context, StoreOptions options, AdapterReader reader, LongSupplier ticker) {
        this.context = context;
        this.options = options;
        this.reader = reader;
        this.ticker = ticker;
        EvictionStrategies strategies = options.getStrategies();
        device = new Tier(options.getDevice(), strategies.create(options.getDeviceStrategy()));
        host =
                new HostTier(
                        new Tier(options.getHost(), strategies.create(options.getHostStrategy())));
        queue = new LoadQueue(options.getLoadWorkers(), options.getLoadQueue());
        failures = new FailedLoads(options.getRetryAfter(), options.getLongestRetry(), ticker);
        context.setResidents(this::putAll);
    }

    /**
     * Loads an adapter, checks it against the model and keeps it as near to the device as there is
     * room.
     *
     * @param name the name under which requests will ask for it
     * @param directory the folder with {@code adapter_config.json} and {@code
     *     adapter_model.safetensors}
     * @return what was applied
     * @throws LoraConfigurationException if the name is blank or taken, or a file is missing or
     *     broken
     * @throws ai.djl.lora.LoraException if the adapter does not fit the model or is of an
     *     unsupported kind
     */
    public LoadReport register(String name, Path directory) {
        reserve(name);
        try {
            ManagedAdapter adapter = open(name, directory);
            publish(adapter);
            return adapter.report();
        } finally {
            synchronized (registering) {
                registering.remove(name);
            }
        }
    }

    /**
     * Puts another revision in the place of a registered adapter. Requests that come from now on
     * get the new one; leases that are open keep the old one until they are closed. If the new one
     * is refused the old one stays.
     *
     * @param name the adapter's name
     * @param directory the new revision's folder
     * @return what was applied
     * @throws LoraConfigurationException if there is no adapter of that name, or a file is missing
     *     or broken
     * @throws ai.djl.lora.LoraException if the new revision does not fit the model, or is of a kind
     *     that a stack with this adapter in it does not allow
     */
    public LoadReport replace(String name, Path directory) {
        find(name);
        ManagedAdapter next = open(name, directory);
        ManagedAdapter before;
        synchronized (registering) {
            before = adapters.get(name);
            boolean fits =
                    next.isStackable()
                            || stacks.values().stream()
                                    .noneMatch(stack -> stack.names().contains(name));
            if (before != null && fits) {
                next.setPinned(before.isPinned());
                adapters.put(name, next);
            } else {
                next.retire();
            }
        }
        if (next.isRetired()) {
            retire(next);
            find(name);
            throw new LoraVariantException(
                    "Adapter \""
                            + name
                            + "\" is part of a stack; the new revision is "
                            + next.variants()
                            + ", and only plain low-rank products can be weighted and added");
        }
        retire(before);
        return next.report();
    }

    /** Reads an adapter and keeps it as near to the device as there is free room. */
    private ManagedAdapter open(String name, Path directory) {
        long start = ticker.getAsLong();
        LoraAdapter adapter = read(directory);
        PackedAdapter packed = AdapterPacker.pack(context, adapter);
        HostCopy copy = HostCopy.of(context, packed, adapter);
        long nanos = ticker.getAsLong() - start;
        ManagedAdapter managed =
                new ManagedAdapter(name, adapter, name + '#' + ids.incrementAndGet());
        managed.setDeviceEntry(new CacheEntry(managed.id(), copy.bytes(), nanos, 0));
        DiskImage.of(adapter, packed, context.getModules()).ifPresent(managed::setImage);
        host.offer(managed, copy, false);
        // an adapter too large for the device is refused now, and not at its first request
        if (put(managed, copy, false) == Placed.TOO_LARGE) {
            host.remove(managed);
            throw tooLarge(managed);
        }
        return managed;
    }

    /**
     * Keeps an adapter on the device from its next use on, whatever the strategy says.
     *
     * @param name the adapter's name
     * @param pinned whether it stays
     * @throws LoraConfigurationException if there is no adapter of that name
     */
    public void setPinned(String name, boolean pinned) {
        find(name).setPinned(pinned);
        if (!pinned) {
            queue.retryParked();
        }
    }

    private static LoraAdapter load(Path source, LoraContext context) {
        return AdapterLoader.load(source, context.getLayout());
    }

    private void reserve(String name) {
        checkName(name, "An adapter's");
        synchronized (registering) {
            checkFree(name);
            registering.add(name);
        }
    }

    private void checkName(String name, String whose) {
        if (name == null || name.isBlank()) {
            throw new LoraConfigurationException(whose + " name must not be blank");
        }
        checkOpen();
    }

    private void checkFree(String name) {
        if (adapters.containsKey(name) || registering.contains(name)) {
            throw new LoraConfigurationException(
                    "Adapter \"" + name + "\" is registered already; unregister it first");
        }
        if (stacks.containsKey(name)) {
            throw new LoraConfigurationException(
                    "\"" + name + "\" is a stack already; unregister it first");
        }
    }

    private void publish(ManagedAdapter adapter) {
        synchronized (registering) {
            if (!closed) {
                adapters.put(adapter.name(), adapter);
                return;
            }
        }
        retire(adapter);
        checkOpen();
    }

    /**
     * Gives a name to a stack of adapters, each with a weight: rows that ask for it add {@code
     * weight_i * scale_i * B_i A_i x} of every part. No merged adapter is built.
     *
     * @param name the stack's name
     * @param parts the weights of registered adapters, by name; at least one
     * @throws LoraConfigurationException if the name is blank or taken, there are no parts, a part
     *     is not registered or a weight is not finite
     * @throws LoraVariantException if a part is more than low-rank products, such as DoRA or IA3
     */
    public void registerStack(String name, Map<String, Float> parts) {
        checkName(name, "A stack's");
        if (parts.isEmpty()) {
            throw new LoraConfigurationException("Stack \"" + name + "\" has no adapters");
        }
        synchronized (registering) {
            checkFree(name);
            parts.forEach((part, weight) -> checkPart(name, part, weight));
            stacks.put(name, new Stack(parts));
        }
    }

    private void checkPart(String stack, String part, Float weight) {
        ManagedAdapter adapter = find(part);
        if (!adapter.isStackable()) {
            throw new LoraVariantException(
                    "Stack \""
                            + stack
                            + "\" has \""
                            + part
                            + "\" in it, which is "
                            + adapter.variants()
                            + "; only plain low-rank products can be weighted and added");
        }
        if (weight == null || !Float.isFinite(weight)) {
            throw new LoraConfigurationException(
                    "Stack \""
                            + stack
                            + "\" gives \""
                            + part
                            + "\" the weight "
                            + weight
                            + "; it must be finite");
        }
    }

    /**
     * Takes the name of an adapter or a stack away. An adapter's memory is freed when the last
     * lease is closed.
     *
     * @param name the name
     * @throws LoraConfigurationException if there is no such adapter or stack, or an adapter is
     *     part of a stack
     */
    public void unregister(String name) {
        ManagedAdapter adapter;
        synchronized (registering) {
            if (stacks.remove(name) != null) {
                return;
            }
            adapter = find(name);
            stacks.forEach((stack, parts) -> checkNotIn(stack, parts, name));
            adapters.remove(name);
        }
        retire(adapter);
    }

    private static void checkNotIn(String stack, Stack parts, String name) {
        if (parts.names().contains(name)) {
            throw new LoraConfigurationException(
                    "Adapter \""
                            + name
                            + "\" is part of stack \""
                            + stack
                            + "\"; unregister the stack first");
        }
    }

    private void retire(ManagedAdapter adapter) {
        adapter.retire();
        host.remove(adapter);
        failures.forget(adapter.id());
        withdraw(adapter);
    }

    /**
     * Leases an adapter, or every adapter of a stack, and waits for what has to be loaded.
     *
     * @param name the name of an adapter or a stack
     * @return the lease, to be closed by the caller
     * @throws LoraConfigurationException if there is neither of that name
     * @throws ai.djl.lora.LoraException if it cannot be loaded, there is no room for it, or the
     *     time that the options allow is over
     */
    public AdapterLease acquire(String name) {
        Stack parts = partsOf(name);
        AdapterLease lease = tryLease(name, parts);
        return lease != null
                ? lease
                : join(name, leaseAsync(name, parts, options.getAcquireTimeout()));
    }

    /**
     * Leases an adapter, or every adapter of a stack, when all of it is on the device.
     *
     * @param name the name of an adapter or a stack
     * @param timeout how long the caller is ready to wait
     * @return a future of the lease, to be closed by the caller; it fails with a {@link
     *     ai.djl.lora.LoraException} as {@link #acquire(String)} does. A lease that comes after the
     *     future was cancelled is given back
     * @throws LoraConfigurationException if there is neither of that name
     */
    public CompletableFuture<AdapterLease> acquire(String name, Duration timeout) {
        Stack parts = partsOf(name);
        AdapterLease lease = tryLease(name, parts);
        return lease != null
                ? CompletableFuture.completedFuture(lease)
                : leaseAsync(name, parts, timeout);
    }

    /**
     * Runs something with an adapter leased.
     *
     * @param name the name of an adapter or a stack
     * @param use what is run with the lease, which is closed afterwards
     * @param <T> the type of the result
     * @return the result
     */
    public <T> T withAdapter(String name, Function<AdapterLease, T> use) {
        try (AdapterLease lease = acquire(name)) {
            return use.apply(lease);
        }
    }

    private Stack partsOf(String name) {
        checkOpen();
        Stack stack = stacks.get(name);
        return stack != null ? stack : Stack.of(name);
    }

    /** Returns the lease if every part is on the device, or null. */
    private AdapterLease tryLease(String name, Stack stack) {
        List<String> names = stack.names();
        ManagedAdapter[] leased = new ManagedAdapter[names.size()];
        for (int i = 0; i < leased.length; ++i) {
            ManagedAdapter adapter = find(names.get(i));
            if (!adapter.tryLease()) {
                for (int j = 0; j < i; ++j) {
                    release(leased[j]);
                }
                return null;
            }
            leased[i] = adapter;
        }
        for (ManagedAdapter adapter : leased) {
            hit(adapter);
        }
        return newLease(name, stack, List.of(leased));
    }

    private void hit(ManagedAdapter adapter) {
        adapter.use(ticker.getAsLong());
        device.hit(adapter.deviceEntry());
    }

    private AdapterLease newLease(String name, Stack stack, List<ManagedAdapter> leased) {
        int[] slots = new int[leased.size()];
        for (int i = 0; i < slots.length; ++i) {
            slots[i] = leased.get(i).slot();
        }
        return new AdapterLease(this, name, leased, AdapterMix.stack(slots, stack.weights()));
    }

    private CompletableFuture<AdapterLease> leaseAsync(String name, Stack stack, Duration timeout) {
        List<CompletableFuture<ManagedAdapter>> waits = new ArrayList<>();
        for (String part : stack.names()) {
            waits.add(leased(find(part)));
        }
        CompletableFuture<AdapterLease> result = new CompletableFuture<>();
        CompletableFuture.allOf(waits.toArray(new CompletableFuture<?>[0]))
                .whenComplete(
                        (done, failure) -> {
                            List<ManagedAdapter> leased = new ArrayList<>();
                            for (CompletableFuture<ManagedAdapter> wait : waits) {
                                if (!wait.isCompletedExceptionally()) {
                                    leased.add(wait.join());
                                }
                            }
                            if (failure != null) {
                                leased.forEach(this::release);
                                result.completeExceptionally(unwrapped(failure));
                                return;
                            }
                            AdapterLease lease = newLease(name, stack, leased);
                            if (!result.complete(lease)) {
                                lease.close();
                            }
                        });
        CompletableFuture.delayedExecutor(timeout.toNanos(), TimeUnit.NANOSECONDS)
                .execute(
                        () -> {
                            result.completeExceptionally(
                                    new LoraOffloadException(
                                            "Adapter \""
                                                    + name
                                                    + "\" was not on the device within "
                                                    + timeout.toMillis()
                                                    + " ms"));
                            // those that wait for room are not to be loaded for nobody
                            waits.forEach(wait -> wait.cancel(false));
                        });
        return result;
    }

    /** Returns a future that completes with the adapter on the device and leased. */
    private CompletableFuture<ManagedAdapter> leased(ManagedAdapter adapter) {
        synchronized (adapter) {
            if (adapter.tryLease()) {
                hit(adapter);
                return CompletableFuture.completedFuture(adapter);
            }
            device.miss(adapter.deviceEntry());
            adapter.use(ticker.getAsLong());
            if (adapter.load() != null) {
                return adapter.load().join();
            }
            Optional<LoraException> known = failures.reason(adapter.id());
            if (known.isPresent()) {
                return CompletableFuture.failedFuture(known.get());
            }
            Load load = new Load();
            CompletableFuture<ManagedAdapter> waiter = load.join();
            adapter.setLoad(load);
            if (!queue.submit(() -> load(adapter))) {
                adapter.setLoad(null);
                return CompletableFuture.failedFuture(
                        new LoraOffloadException(
                                "Adapter \""
                                        + adapter.name()
                                        + "\" cannot be loaded now: "
                                        + options.getLoadQueue()
                                        + " loads are waiting"));
            }
            return waiter;
        }
    }

    private AdapterLease join(String name, CompletableFuture<AdapterLease> future) {
        try {
            return future.get();
        } catch (InterruptedException e) {
            future.cancel(false);
            Thread.currentThread().interrupt();
            throw new LoraOffloadException(
                    "The thread was interrupted while it waited for adapter \"" + name + '"', e);
        } catch (ExecutionException e) {
            throw unwrapped(e.getCause());
        }
    }

    private static RuntimeException unwrapped(Throwable failure) {
        Throwable cause = failure instanceof CompletionException ? failure.getCause() : failure;
        // each caller has a trace of its own, and others share the cause
        return cause instanceof LoraException known
                ? known
                : new LoraOffloadException("An adapter could not be loaded: " + cause, cause);
    }

    /** Loads an adapter, on a worker. */
    private void load(ManagedAdapter adapter) {
        try {
            if (isAbandoned(adapter)) {
                return;
            }
            HostCopy copy = host.get(adapter).orElse(null);
            if (copy == null) {
                long start = ticker.getAsLong();
                copy = copyFromDisk(adapter);
                long nanos = ticker.getAsLong() - start;
                adapter.setDeviceEntry(
                        new CacheEntry(adapter.id(), adapter.deviceEntry().bytes(), nanos, 0));
                host.offer(adapter, copy, true);
            }
            place(adapter, copy);
        } catch (LoraException e) {
            quarantine(adapter, e);
        } catch (RuntimeException | OutOfMemoryError e) {
            quarantine(
                    adapter,
                    new LoraOffloadException(
                            "Adapter \"" + adapter.name() + "\" could not be loaded: " + e, e));
        }
    }

    private void quarantine(ManagedAdapter adapter, LoraException reason) {
        if (failures.add(adapter.id(), reason)) {
            logger.warn("Adapter {} could not be loaded: {}", adapter.name(), reason.getMessage());
        }
        fail(adapter, reason);
    }

    private void place(ManagedAdapter adapter, HostCopy copy) {
        switch (put(adapter, copy, true)) {
            case PLACED -> failures.forget(adapter.id());
            case TOO_LARGE -> fail(adapter, tooLarge(adapter));
            case NO_ROOM -> {
                queue.park(() -> load(adapter));
                if (residents.values().stream().anyMatch(ManagedAdapter::isIdle)) {
                    // room was made before the load was parked, and nobody would tell
                    queue.retryParked();
                }
            }
        }
    }

    /** Returns whether nobody waits for a load any more, and ends it then. */
    private boolean isAbandoned(ManagedAdapter adapter) {
        synchronized (adapter) {
            boolean abandoned =
                    adapter.load().waiters().stream().allMatch(CompletableFuture::isDone);
            if (abandoned) {
                adapter.setLoad(null);
            }
            return abandoned;
        }
    }

    private void fail(ManagedAdapter adapter, LoraException failure) {
        List<CompletableFuture<ManagedAdapter>> waiters;
        synchronized (adapter) {
            waiters = adapter.load().waiters();
            adapter.setLoad(null);
        }
        waiters.forEach(waiter -> waiter.completeExceptionally(failure));
    }

    private LoraMemoryException tooLarge(ManagedAdapter adapter) {
        return new LoraMemoryException(
                "Adapter \""
                        + adapter.name()
                        + "\" takes "
                        + adapter.deviceEntry().bytes()
                        + " bytes on the device; the tier's limit is "
                        + options.getDevice().bytes());
    }

    private enum Placed {
        PLACED,
        NO_ROOM,
        TOO_LARGE
    }

    /** Puts an adapter on the device and hands leases to those who wait for it. */
    private Placed put(ManagedAdapter adapter, HostCopy copy, boolean evicting) {
        Placed[] placed = new Placed[1];
        List<CompletableFuture<ManagedAdapter>> waiters = new ArrayList<>();
        context.keepingBackend(() -> placed[0] = putNow(adapter, copy, evicting, waiters));
        for (CompletableFuture<ManagedAdapter> waiter : waiters) {
            if (!waiter.complete(adapter)) {
                release(adapter);
            }
        }
        return placed[0];
    }

    private Placed putNow(
            ManagedAdapter adapter,
            HostCopy copy,
            boolean evicting,
            List<CompletableFuture<ManagedAdapter>> waiters) {
        AdapterTable table = context.getTable();
        CacheEntry known = adapter.deviceEntry();
        CacheEntry entry =
                new CacheEntry(
                        adapter.id(),
                        table.bytesOf(copy.packed()) + copy.extraBytes(),
                        known.loadNanos(),
                        known.priority());
        adapter.setDeviceEntry(entry);
        if (!device.couldHold(entry.bytes())) {
            return Placed.TOO_LARGE;
        }
        Predicate<CacheEntry> mayLeave = evicting ? this::isIdle : other -> false;
        if (!device.reserve(entry, mayLeave, this::free, true)) {
            return Placed.NO_ROOM;
        }
        int slot;
        try {
            slot = putParts(table, copy);
        } catch (RuntimeException | OutOfMemoryError e) {
            device.remove(entry);
            throw e;
        }
        synchronized (adapter) {
            residents.put(adapter.id(), adapter);
            if (adapter.load() != null) {
                waiters.addAll(adapter.load().waiters());
                adapter.setLoad(null);
            }
            adapter.publish(slot, waiters.size(), ticker.getAsLong());
        }
        return Placed.PLACED;
    }

    private int putParts(AdapterTable table, HostCopy copy) {
        Optional<AdapterExtras> extras = ExtrasLoader.load(context, copy.extras());
        try {
            int slot = table.put(copy.packed());
            extras.ifPresent(extra -> context.putExtras(slot, extra));
            return slot;
        } catch (RuntimeException | OutOfMemoryError e) {
            extras.ifPresent(AdapterExtras::close);
            throw e;
        }
    }

    private boolean isIdle(CacheEntry entry) {
        ManagedAdapter adapter = residents.get(entry.id());
        return adapter != null && adapter.isIdle();
    }

    /* Called under the device tier's lock, and while the backend stays the same. */
    private boolean free(CacheEntry entry) {
        ManagedAdapter adapter = residents.get(entry.id());
        if (adapter == null || !adapter.tryWithdraw(ticker.getAsLong())) {
            return false;
        }
        residents.remove(entry.id());
        if (!context.isClosed()) {
            context.removeExtras(adapter.slot());
            context.getTable().remove(adapter.slot());
        }
        return true;
    }

    /** Takes an adapter from the device if nobody uses it. */
    private boolean withdraw(ManagedAdapter adapter) {
        boolean[] gone = new boolean[1];
        context.keepingBackend(() -> gone[0] = device.remove(adapter.deviceEntry(), this::free));
        if (gone[0]) {
            queue.retryParked();
        }
        return gone[0];
    }

    void release(List<ManagedAdapter> leased) {
        leased.forEach(this::release);
    }

    private void release(ManagedAdapter adapter) {
        if (adapter.release()) {
            if (adapter.isRetired()) {
                withdraw(adapter);
            }
            queue.retryParked();
        }
    }

    /**
     * Takes an adapter from the device; it stays registered.
     *
     * @param name the adapter's name
     * @return whether it is gone, or was not there; false while somebody uses it
     * @throws LoraConfigurationException if there is no adapter of that name
     */
    public boolean offload(String name) {
        ManagedAdapter adapter = find(name);
        return !adapter.isOnDevice() || withdraw(adapter);
    }

    /**
     * Loads adapters that are expected to be asked for.
     *
     * @param names the adapters' names
     * @return a future that completes when all are on the device, and fails if one cannot be loaded
     * @throws LoraConfigurationException if there is no adapter of such a name
     */
    public CompletableFuture<Void> preload(Collection<String> names) {
        List<CompletableFuture<Void>> loads =
                names.stream()
                        .map(
                                name ->
                                        acquire(name, options.getLoadTimeout())
                                                .thenAccept(AdapterLease::close))
                        .toList();
        return CompletableFuture.allOf(loads.toArray(new CompletableFuture<?>[0]));
    }

    /**
     * Takes adapters from the device that nobody has used for a time.
     *
     * @param age the time
     * @return how many adapters are gone
     */
    public int cleanupUnused(Duration age) {
        long now = ticker.getAsLong();
        int gone = 0;
        for (ManagedAdapter adapter : residents.values()) {
            long idle = now - Math.max(adapter.lastUsed(), adapter.since());
            if (adapter.isIdle() && idle >= age.toNanos() && withdraw(adapter)) {
                ++gone;
            }
        }
        return gone;
    }

    /**
     * Returns the names of the registered adapters.
     *
     * @return the names, sorted
     */
    public Set<String> names() {
        return Collections.unmodifiableSet(new TreeSet<>(adapters.keySet()));
    }

    /**
     * Returns the names of the stacks.
     *
     * @return the names, sorted
     */
    public Set<String> stackNames() {
        return Collections.unmodifiableSet(new TreeSet<>(stacks.keySet()));
    }

    /**
     * Returns what was applied when an adapter was registered.
     *
     * @param name the adapter's name
     * @return the report
     * @throws LoraConfigurationException if there is no adapter of that name
     */
    public LoadReport report(String name) {
        return find(name).report();
    }

    /**
     * Returns where an adapter is and how it is used.
     *
     * @param name the adapter's name
     * @return its state at this moment
     * @throws LoraConfigurationException if there is no adapter of that name
     */
    public AdapterState state(String name) {
        ManagedAdapter adapter = find(name);
        Optional<String> failure = failures.lastReason(adapter.id()).map(Throwable::getMessage);
        boolean loading;
        synchronized (adapter) {
            loading = adapter.load() != null;
        }
        AdapterState.Place place;
        if (adapter.isOnDevice()) {
            place = AdapterState.Place.DEVICE;
        } else if (loading) {
            place = AdapterState.Place.LOADING;
        } else if (failure.isPresent()) {
            place = AdapterState.Place.FAILED;
        } else {
            place = host.holds(adapter) ? AdapterState.Place.HOST : AdapterState.Place.DISK;
        }
        return new AdapterState(
                place,
                adapter.revision(),
                adapter.deviceEntry().bytes(),
                adapter.leases(),
                adapter.uses(),
                failure);
    }

    /**
     * Returns what the device tier holds and how it has done.
     *
     * @return the statistics
     */
    public TierStatistics deviceStatistics() {
        return device.statistics();
    }

    /**
     * Returns what the host tier holds and how it has done.
     *
     * @return the statistics
     */
    public TierStatistics hostStatistics() {
        return host.tier().statistics();
    }

    /**
     * Reads a leased adapter's files again.
     *
     * @param lease an open lease of this store
     * @return the adapter in the host's memory, of the leased revision
     * @throws ai.djl.lora.LoraException if the files cannot be read or hold another revision
     */
    public LoraAdapter reload(AdapterLease lease) {
        lease.getSlot(); // refuses a closed lease, and one of a stack
        return read(lease.adapters().get(0));
    }

    private LoraAdapter read(ManagedAdapter managed) {
        LoraAdapter adapter = read(managed.source());
        if (!adapter.revision().equals(managed.revision())) {
            throw new LoraCompatibilityException(
                    "Adapter \""
                            + managed.name()
                            + "\" was registered as revision "
                            + managed.revision()
                            + "; "
                            + managed.source()
                            + " holds revision "
                            + adapter.revision()
                            + " now");
        }
        return adapter;
    }

    private HostCopy copyFromDisk(ManagedAdapter adapter) {
        DiskImage image = adapter.image();
        if (image == null) {
            return HostCopy.of(context, read(adapter));
        }
        return withMemory(
                adapter.source(), () -> HostCopy.of(context, reader.read(adapter.source(), image)));
    }

    private LoraAdapter read(Path source) {
        return withMemory(source, () -> reader.read(source, context));
    }

    /** Reads something; where memory is short, once more after copies have made room. */
    private <T> T withMemory(Path source, Supplier<T> read) {
        try {
            return read.get();
        } catch (OutOfMemoryError e) {
            logger.warn("Memory is short: {}; adapters leave the host's", e.getMessage());
            host.clear();
        }
        try {
            return read.get();
        } catch (OutOfMemoryError e) {
            throw new LoraMemoryException(
                    source + ": there is no memory to read the adapter: " + e.getMessage(), e);
        }
    }

    /** Fills another backend's table with what is resident, each adapter in its slot. */
    private void putAll(AdapterTable table) {
        for (ManagedAdapter adapter : residents.values()) {
            HostCopy copy = host.peek(adapter).orElse(null);
            if (copy == null) {
                copy = copyFromDisk(adapter);
            }
            table.put(adapter.slot(), copy.packed());
            CacheEntry known = adapter.deviceEntry();
            long bytes = table.bytesOf(copy.packed()) + copy.extraBytes();
            // another backend's copy may be larger; what is too much leaves when room is made
            CacheEntry entry =
                    new CacheEntry(known.id(), bytes, known.loadNanos(), known.priority());
            adapter.setDeviceEntry(entry);
            device.replace(entry);
        }
    }

    /** Takes every name away. What is still leased is freed when its last lease is closed. */
    @Override
    public void close() {
        List<ManagedAdapter> all;
        synchronized (registering) {
            closed = true;
            stacks.clear();
            all = List.copyOf(adapters.values());
            adapters.clear();
        }
        all.forEach(this::retire);
        queue.close();
    }

    private ManagedAdapter find(String name) {
        ManagedAdapter adapter = adapters.get(name);
        if (adapter == null) {
            checkOpen();
            throw new LoraConfigurationException(
                    "Unknown adapter \"" + name + "\"; registered are " + known());
        }
        return adapter;
    }

    private Set<String> known() {
        Set<String> names = new TreeSet<>(adapters.keySet());
        names.addAll(stacks.keySet());
        return names;
    }

    private void checkOpen() {
        if (closed) {
            throw new IllegalStateException("The adapter store is closed");
        }
    }
}
