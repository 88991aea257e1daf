/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraMemoryException;
import ai.djl.lora.LoraOffloadException;
import ai.djl.lora.LoraVariantException;
import ai.djl.lora.adapter.AdapterLoader;
import ai.djl.lora.adapter.LoadReport;
import ai.djl.lora.adapter.LoadingPolicy;
import ai.djl.lora.adapter.LoraAdapter;
import ai.djl.lora.cache.policy.AccessRecorder;
import ai.djl.lora.cache.policy.CacheEntry;
import ai.djl.lora.cache.policy.Recommendation;
import ai.djl.lora.cache.policy.StrategyAdvisor;
import ai.djl.lora.compress.Compression;
import ai.djl.lora.compress.HostCodec;
import ai.djl.lora.memory.BlockPool;
import ai.djl.lora.memory.MemoryMonitor;
import ai.djl.lora.memory.MemorySource;
import ai.djl.lora.op.AdapterExtras;
import ai.djl.lora.op.AdapterTable;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.PackedAdapter;
import ai.djl.lora.op.SequenceStart;
import ai.djl.lora.registry.AdapterRegistry;
import ai.djl.lora.registry.AdapterRevision;
import ai.djl.lora.registry.RegisteredAdapter;
import ai.djl.lora.registry.Registration;
import ai.djl.lora.registry.RegistryOptions;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.Stream;
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
 * the same revision. A store ends with its model's context at the latest. Names, revisions, pins
 * and counts of uses are kept in a registry; with one that is kept on a disk a store has after a
 * restart what it had before, and reads it as it is asked for.
 */
public final class AdapterStore implements AutoCloseable {

    private static final Logger logger = LoggerFactory.getLogger(AdapterStore.class);

    private static final Duration END = Duration.ofSeconds(10);

    private final LoraContext context;
    private final StoreOptions options;
    private final LongSupplier ticker;
    private final AdapterRegistry registry;
    private final boolean ownsRegistry;
    private final AdapterCatalog catalog;
    private final DiskTier disk;
    private final GpuMemory gpu;
    private final HostTier host;
    private final DeviceTier device;
    private final AdapterLoads loads;
    private final MoveQueue offloads;
    private final Leasing leasing;
    private final Foresight foresight;
    private final StoreMaintenance maintenance;
    private final PreviousRevisions previous;
    private final StoreEvents events = new StoreEvents();
    private final AtomicLong ids = new AtomicLong();

    /**
     * Constructs a new {@code AdapterStore} instance with the defaults and a registry of its own.
     *
     * @param context the model's context
     */
    public AdapterStore(LoraContext context) {
        this(context, StoreOptions.builder().build());
    }

    /**
     * Constructs a new {@code AdapterStore} instance with a registry of its own, which is not kept.
     *
     * @param context the model's context
     * @param options how much it may hold, what leaves first, and how adapters are moved
     */
    public AdapterStore(LoraContext context, StoreOptions options) {
        this(context, options, null, AdapterStore::read, System::nanoTime);
    }

    /**
     * Constructs a new {@code AdapterStore} instance with the adapters of a registry.
     *
     * @param context the model's context
     * @param options how much it may hold, what leaves first, and how adapters are moved
     * @param registry the adapters; stays the caller's, who changes it through this store alone
     */
    public AdapterStore(LoraContext context, StoreOptions options, AdapterRegistry registry) {
        this(context, options, registry, AdapterStore::read, System::nanoTime);
    }

    AdapterStore(
            LoraContext context,
            StoreOptions options,
            AdapterRegistry registry,
            AdapterReader reader,
            LongSupplier ticker) {
        this.context = context;
        this.options = options;
        this.ticker = ticker;
        ownsRegistry = registry == null;
        this.registry =
                ownsRegistry
                        ? AdapterRegistry.inMemory(RegistryOptions.builder().build())
                        : registry;
        ScheduledThreadPoolExecutor timer = StoreMaintenance.newTimer();
        catalog = new AdapterCatalog(this.registry);
        gpu = GpuMemory.open(context.getManager().getDevice(), options);
        context.addEnding(gpu::close); // after this store, also where it does not come to be
        Tier hostTier = newTier(options.getHost(), Optional.empty(), timer, entry -> {});
        hostTier.onEviction((entry, cause) -> events.evicted(entry, false, cause));
        host =
                new HostTier(
                        hostTier,
                        options.isHostEnabled(),
                        () -> codec(Compression.NONE),
                        () -> codec(options.getCompression()),
                        gpu::hostArena);
        disk = new DiskTier(context, reader, this.registry, this::makeRoom);
        foresight = new Foresight(catalog);
        Tier tier = newTier(options.getDevice(), gpu.source(), timer, foresight::observe);
        tier.onEviction((entry, cause) -> events.evicted(entry, true, cause));
        device = new DeviceTier(context, tier, foresight, events, ticker);
        loads = new AdapterLoads(device, host, disk, foresight, options, ticker);
        offloads =
                new MoveQueue(
                        "djl-lora-offload", options.getOffloadWorkers(), options.getMoveQueue());
        previous = new PreviousRevisions(this.registry, this::managed, this::retire);
        leasing = new Leasing(catalog, loads, previous::of, options.getUnavailable(), ticker);
        maintenance =
                new StoreMaintenance(
                        catalog, device, host, loads, foresight, options, gpu.source(), timer);
        loads.setAdmission(maintenance::admit);
        this.registry.list().stream()
                .filter(adapter -> !adapter.retired())
                .map(this::restored)
                .forEach(catalog::put);
        if (!context.hasTable()) {
            long bytes = device.tier().limits().bytes();
            context.setAdapterMemory(Math.max(BlockPool.ALIGNMENT, bytes));
        }
        context.setResidents(this::putAll);
        context.addEnding(this::close);
    }

    private Tier newTier(
            TierOptions limits,
            Optional<MemorySource> memory,
            Executor background,
            Consumer<CacheEntry> observer) {
        return new Tier(
                StoreMaintenance.limits(limits, memory),
                options.getStrategies(),
                limits.strategy(),
                background,
                observer);
    }

    private static LoraAdapter read(Path source, LoraContext context, LoadingPolicy policy) {
        return AdapterLoader.load(source, context.getLayout(), policy);
    }

    private HostCodec codec(Compression compression) {
        return compression.codec(context.getModules(), options.getPrunedShare());
    }

    private void makeRoom() {
        host.shrink(0, EvictionCause.PRESSURE);
    }

    private ManagedAdapter restored(RegisteredAdapter adapter) {
        ManagedAdapter managed = managed(adapter.name(), adapter.current());
        managed.setPinned(adapter.pinned());
        managed.setPriority(adapter.priority());
        return managed;
    }

    private ManagedAdapter managed(String name, AdapterRevision revision) {
        ManagedAdapter managed =
                newAdapter(name, revision.source(), revision.hash(), LoadingPolicy.STRICT);
        managed.setSize(revision.bytes());
        managed.setAccess(registry.statistics().of(name).orElseThrow());
        return managed;
    }

    private ManagedAdapter newAdapter(
            String name, Path source, String revision, LoadingPolicy policy) {
        String id = name + '#' + ids.incrementAndGet();
        return new ManagedAdapter(name, id, source, revision, policy);
    }

    /**
     * Loads an adapter, checks it against the model and keeps it as near to the device as there is
     * room.
     *
     * @param name the name under which requests will ask for it
     * @param source the adapter's folder or file; see {@link ai.djl.lora.format.AdapterFiles}
     * @return what was applied
     * @throws LoraConfigurationException if the name is blank or taken, or a file is missing or
     *     broken
     * @throws ai.djl.lora.LoraException if the adapter does not fit the model or is of an
     *     unsupported kind
     */
    public LoadReport register(String name, Path source) {
        return register(name, source, AdapterSettings.DEFAULTS);
    }

    /**
     * Loads an adapter as strictly as a policy says and keeps it as near to the device as there is
     * room.
     *
     * @param name the name under which requests will ask for it
     * @param source the adapter's folder or file; see {@link ai.djl.lora.format.AdapterFiles}
     * @param policy how strict to be, also when the adapter is read again
     * @return what was applied
     * @throws LoraConfigurationException if the name is blank or taken, or a file is missing or
     *     broken
     * @throws ai.djl.lora.LoraException if the adapter does not fit the model or the policy, or is
     *     of an unsupported kind
     */
    public LoadReport register(String name, Path source, LoadingPolicy policy) {
        return register(name, source, AdapterSettings.builder().optPolicy(policy).build());
    }

    /**
     * Loads an adapter, checks it against the model and keeps it as near to the device as there is
     * room. One that was retired is back with it.
     *
     * @param name the name under which requests will ask for it
     * @param source the adapter's folder or file; see {@link ai.djl.lora.format.AdapterFiles}
     * @param settings how strictly it is read, and what is noted of it
     * @return what was applied
     * @throws LoraConfigurationException if the name is blank or taken, or a file is missing or
     *     broken
     * @throws ai.djl.lora.LoraException if the adapter does not fit the model or the policy, is of
     *     an unsupported kind, or cannot be written into the registry
     */
    public LoadReport register(String name, Path source, AdapterSettings settings) {
        catalog.reserve(name);
        try {
            Opened opened = open(name, source, settings);
            try {
                publish(opened.adapter, () -> record(opened, settings));
            } catch (RuntimeException e) {
                discard(opened.adapter);
                throw e;
            }
            return opened.report;
        } finally {
            catalog.unreserve(name);
        }
    }

    /**
     * Puts another revision in the place of a registered adapter. Requests that come from now on
     * get the new one; leases that are open keep the old one until they are closed. If the new one
     * is refused the old one stays.
     *
     * @param name the adapter's name
     * @param source the new revision's folder or file
     * @return what was applied
     * @throws LoraConfigurationException if there is no adapter of that name, or a file is missing
     *     or broken
     * @throws ai.djl.lora.LoraException if the new revision does not fit the model, or is of a kind
     *     that a stack with this adapter in it does not allow
     */
    public LoadReport replace(String name, Path source) {
        return replace(name, source, AdapterSettings.DEFAULTS);
    }

    /**
     * Puts another revision in the place of a registered adapter, as {@link #replace(String, Path)}
     * does.
     *
     * @param name the adapter's name
     * @param source the new revision's folder or file
     * @param settings how strictly it is read, and what is noted of it
     * @return what was applied
     * @throws LoraConfigurationException if there is no adapter of that name, or a file is missing
     *     or broken
     * @throws ai.djl.lora.LoraException if the new revision does not fit the model or the policy,
     *     or is of a kind that a stack with this adapter in it does not allow
     */
    public LoadReport replace(String name, Path source, AdapterSettings settings) {
        try (AdapterCandidate candidate = tryOut(name, source, settings)) {
            LoadReport report = candidate.getReport();
            candidate.promote();
            return report;
        }
    }

    /**
     * Reads a revision that may take the place of a registered adapter's, checks it, and gives it a
     * name of its own, by which it can be tried while the adapter's name leads to what it led to.
     *
     * @param name the adapter's name
     * @param source the new revision's folder or file
     * @param settings how strictly it is read, and what is noted of it when it takes the place
     * @return the revision, to be closed by the caller
     * @throws LoraConfigurationException if there is no adapter of that name, or a file is missing
     *     or broken
     * @throws ai.djl.lora.LoraException if the new revision does not fit the model or the policy,
     *     or is of a kind that a stack with this adapter in it does not allow
     */
    public AdapterCandidate tryOut(String name, Path source, AdapterSettings settings) {
        Opened opened = open(catalog.find(name).name(), source, settings);
        Registration registration = registration(opened, settings);
        return candidate(opened, registration, () -> registry.reregister(registration));
    }

    private AdapterCandidate candidate(
            Opened opened, Registration registration, Supplier<RegisteredAdapter> promotion) {
        ManagedAdapter adapter = opened.adapter;
        try {
            catalog.checkStackable(adapter.name(), opened.notes);
            adapter.setUnrecorded(opened.notes);
            adapter.setAccess(catalog.find(adapter.name()).access());
            return new AdapterCandidate(
                    this, catalog.putCandidate(adapter), adapter, registration, promotion);
        } catch (RuntimeException e) {
            discard(adapter);
            throw e;
        }
    }

    /**
     * Reads the revision before an adapter's current one, which must hold what it held, checks it,
     * and gives it a name of its own, by which it can be tried while the adapter's name leads to
     * what it led to. To promote it is a {@link #rollback}.
     *
     * @param name the adapter's name
     * @return the revision, to be closed by the caller
     * @throws LoraConfigurationException if there is no adapter of that name or no earlier
     *     revision, or its files hold something else now
     * @throws ai.djl.lora.LoraException if the earlier revision cannot be had any more
     */
    public AdapterCandidate tryPrevious(String name) {
        RegisteredAdapter known = registry.get(catalog.find(name).name());
        AdapterRevision older =
                known.previous()
                        .orElseThrow(
                                () ->
                                        new LoraConfigurationException(
                                                "Adapter \""
                                                        + known.name()
                                                        + "\" has no revision before "
                                                        + known.current().hash()));
        AdapterSettings settings = AdapterSettings.builder().optMetadata(older.metadata()).build();
        Opened opened = open(known.name(), older.source(), settings);
        if (!opened.adapter.revision().equals(older.hash())) {
            discard(opened.adapter);
            throw new LoraConfigurationException(
                    "Adapter \""
                            + known.name()
                            + "\" cannot go back to revision "
                            + older.hash()
                            + ": "
                            + older.source()
                            + " holds revision "
                            + opened.adapter.revision()
                            + " now");
        }
        return candidate(
                opened,
                registration(opened, settings),
                () -> registry.rollback(known.name(), older.hash()));
    }

    /**
     * Gives the canary that an adapter has on record a name of its own again, as it had before a
     * restart. It is read when it is asked for, and must then hold what it held.
     *
     * @param name the adapter's own name
     * @return the revision, to be closed by the caller; empty where there is none on record
     * @throws LoraConfigurationException if there is no adapter of that name
     */
    public Optional<AdapterCandidate> restoreCanary(String name) {
        ManagedAdapter current = catalog.find(name);
        return registry.get(current.name())
                .canary()
                .map(
                        canary -> {
                            ManagedAdapter adapter = managed(current.name(), canary.revision());
                            adapter.setUnavailable(current.unavailable());
                            Registration registration = canary.registration(current.name());
                            AdapterCandidate candidate =
                                    new AdapterCandidate(
                                            this,
                                            catalog.putCandidate(adapter),
                                            adapter,
                                            registration,
                                            () -> registry.reregister(registration));
                            candidate.setKept();
                            return candidate;
                        });
    }

    /** Takes a candidate's name away. */
    void endTrial(String candidate) {
        catalog.removeCandidate(candidate);
    }

    /**
     * Returns which files and folders are read when an adapter must be loaded again, also for
     * requests that still run with a revision that no name leads to any more. Earlier revisions
     * that the registry has on record are not among them.
     *
     * @return the sources as they were given
     */
    public Set<Path> sources() {
        return Stream.of(catalog.adapters(), catalog.candidates(), device.residents())
                .flatMap(Collection::stream)
                .map(ManagedAdapter::source)
                .collect(Collectors.toSet());
    }

    /**
     * Puts the revision before the current one, which is read and checked again, in its place.
     *
     * @param name the adapter's name
     * @return what was applied
     * @throws LoraConfigurationException if there is no adapter of that name or no earlier revision
     * @throws ai.djl.lora.LoraException if the earlier revision cannot be had any more; the current
     *     one stays
     */
    public LoadReport rollback(String name) {
        try (AdapterCandidate candidate = tryPrevious(name)) {
            LoadReport report = candidate.getReport();
            candidate.promote();
            return report;
        }
    }

    /**
     * Lets an adapter's name lead to another revision. Nobody may take the name away, or make a
     * stack of it, between the check and the change.
     *
     * @param adapter the revision, which is gone if this fails
     * @param record writes it into the registry
     * @return what the name led to before
     */
    ManagedAdapter swap(ManagedAdapter adapter, Supplier<RegisteredAdapter> record) {
        String name = adapter.name();
        try {
            AdapterNotes notes = notes(adapter);
            synchronized (catalog) {
                ManagedAdapter before = catalog.find(name);
                catalog.checkStackable(name, notes);
                if (adapter.unavailable() == null) {
                    adapter.setUnavailable(before.unavailable());
                }
                publish(adapter, record);
                return before;
            }
        } catch (RuntimeException e) {
            discard(adapter);
            throw e;
        }
    }

    /** An adapter that was read and checked, and that no name leads to yet. */
    private record Opened(ManagedAdapter adapter, AdapterNotes notes, LoadReport report) {}

    /** Reads an adapter and keeps it as near to the device as there is free room. */
    private Opened open(String name, Path source, AdapterSettings settings) {
        long start = ticker.getAsLong();
        LoadingPolicy policy = settings.getPolicy().capRank(options.getMaxRank());
        LoraAdapter adapter = disk.readWhole(source, policy);
        PackedAdapter packed = AdapterPacker.pack(context, adapter);
        ExtrasLoader.checkActivation(context, adapter);
        ReadyAdapter ready = ReadyAdapter.of(context, packed, adapter);
        // what lies beside the products is refused now if it must be, and not at a request
        ExtrasLoader.load(context, source, ready.beside()).ifPresent(AdapterExtras::close);
        AdapterNotes notes = AdapterNotes.of(adapter, packed, context.getModules());
        ManagedAdapter managed = newAdapter(name, source, adapter.revision(), policy);
        managed.setReport(adapter.report());
        managed.setSize(device.bytesOf(ready));
        managed.setLoadNanos(ticker.getAsLong() - start);
        settings.getPriority().ifPresent(managed::setPriority);
        settings.getPinned().ifPresent(managed::setPinned);
        settings.getUnavailable().ifPresent(managed::setUnavailable);
        if (!device.tier().couldHold(managed.deviceEntry().bytes())) {
            throw loads.tooLarge(managed);
        }
        keepNear(managed, ready);
        device.releaseThreads();
        return new Opened(managed, notes, adapter.report());
    }

    private void keepNear(ManagedAdapter adapter, ReadyAdapter ready) {
        try {
            host.offer(adapter, ready, Tier.Demand.FREE_ROOM);
            device.put(adapter, ready, Tier.Demand.FREE_ROOM, loads::release);
        } catch (LoraMemoryException | OutOfMemoryError e) {
            // it is where there was room for it, and loaded when it is asked for
            logger.warn("Adapter {} is not loaded yet: {}", adapter.name(), e.getMessage());
        } catch (RuntimeException e) {
            discard(adapter);
            throw e;
        }
    }

    private RegisteredAdapter record(Opened opened, AdapterSettings settings) {
        Registration registration = registration(opened, settings);
        return registry.find(opened.adapter.name()).isPresent()
                ? registry.reregister(registration)
                : registry.register(registration);
    }

    private Registration registration(Opened opened, AdapterSettings settings) {
        ManagedAdapter adapter = opened.adapter;
        Registration.Builder registration =
                Registration.builder()
                        .setName(adapter.name())
                        .setHash(adapter.revision())
                        .setSource(adapter.source())
                        .setBytes(adapter.deviceEntry().bytes())
                        .optMetadata(settings.getMetadata())
                        .optValidated(opened.notes.encode(context.getModules(), context.getType()));
        settings.getPriority().ifPresent(registration::optPriority);
        settings.getTenant().ifPresent(registration::optTenant);
        settings.getPinned().ifPresent(registration::optPinned);
        return registration.build();
    }

    /* First the record, then the name: what a crash leaves is there when the store is opened again. */
    private void publish(ManagedAdapter adapter, Supplier<RegisteredAdapter> record) {
        RegisteredAdapter known = record.get();
        adapter.setPriority(known.priority());
        adapter.setPinned(known.pinned());
        adapter.setAccess(registry.statistics().of(known.name()).orElseThrow());
        adapter.setUnrecorded(null);
        ManagedAdapter before = catalog.put(adapter);
        if (before != null) {
            retire(before);
        }
        maintenance.start();
    }

    /* No name has led to it. */
    private void discard(ManagedAdapter adapter) {
        adapter.retire();
        host.remove(adapter, EvictionCause.RETIRED);
        device.remove(adapter, EvictionCause.RETIRED);
    }

    /** Ends a revision that a name has led to; it is freed when its last lease is closed. */
    void retire(ManagedAdapter adapter) {
        adapter.retire();
        previous.forget(adapter);
        host.remove(adapter, EvictionCause.RETIRED);
        loads.forget(adapter);
        if (device.remove(adapter, EvictionCause.RETIRED)) {
            loads.retryParked();
        }
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
        catalog.putStack(name, parts, part -> checkPart(name, part));
    }

    private void checkPart(String stack, String part) {
        AdapterNotes notes = notes(catalog.find(part));
        if (!notes.stackable()) {
            throw new LoraVariantException(
                    "Stack \""
                            + stack
                            + "\" has \""
                            + part
                            + "\" in it, which is "
                            + notes.variants()
                            + "; only plain low-rank products can be weighted and added");
        }
    }

    /* Notes of another model's or an older version's are taken anew. */
    private AdapterNotes notes(ManagedAdapter adapter) {
        return disk.notes(adapter)
                .orElseGet(
                        () -> {
                            LoraAdapter whole = disk.readWhole(adapter);
                            AdapterNotes taken =
                                    AdapterNotes.of(
                                            whole,
                                            AdapterPacker.pack(context, whole),
                                            context.getModules());
                            registry.setValidated(
                                    adapter.name(),
                                    adapter.revision(),
                                    taken.encode(context.getModules(), context.getType()));
                            return taken;
                        });
    }

    /**
     * Takes the name of an adapter or a stack away, with what the registry has of it. An adapter's
     * memory is freed when the last lease is closed.
     *
     * @param name the name, not an alias
     * @throws LoraConfigurationException if there is no such adapter or stack, an adapter is part
     *     of a stack, or an alias leads to it
     */
    public void unregister(String name) {
        if (!catalog.removeStack(name)) {
            takeAway(name, registry::unregister);
        }
    }

    /**
     * Takes the name of an adapter away and keeps it on record, so that it can be registered again
     * with its revisions and statistics.
     *
     * @param name the name, not an alias
     * @throws LoraConfigurationException if there is no such adapter, or it is part of a stack
     */
    public void retire(String name) {
        takeAway(name, registry::retire);
    }

    private void takeAway(String name, Consumer<String> record) {
        ManagedAdapter adapter;
        synchronized (catalog) {
            adapter = catalog.find(name);
            catalog.checkInNoStack(name);
            record.accept(name);
            catalog.remove(adapter);
        }
        retire(adapter);
    }

    /**
     * Lets a name stand for an adapter; see {@link AdapterRegistry#alias}.
     *
     * @param alias the name
     * @param target the name of an adapter or of another alias
     * @throws LoraConfigurationException if the alias is taken or the target does not exist
     */
    public void alias(String alias, String target) {
        catalog.find(target);
        catalog.checkNoStack(alias);
        registry.alias(alias, target);
    }

    /**
     * Takes an alias away.
     *
     * @param alias the name
     * @throws LoraConfigurationException if there is no such alias
     */
    public void unalias(String alias) {
        registry.unalias(alias);
    }

    /**
     * Keeps an adapter on the device from its next use on, whatever the strategy says.
     *
     * @param name the adapter's name
     * @param pinned whether it stays
     * @throws LoraConfigurationException if there is no adapter of that name
     */
    public void setPinned(String name, boolean pinned) {
        ManagedAdapter adapter = catalog.find(name);
        if (pinned) {
            registry.pin(adapter.name());
        } else {
            registry.unpin(adapter.name());
        }
        adapter.setPinned(pinned);
        if (!pinned) {
            loads.retryParked();
        }
    }

    /**
     * Sets how much an adapter is worth keeping, for strategies that look at it.
     *
     * @param name the adapter's name
     * @param priority the priority, higher is more; finite
     * @throws LoraConfigurationException if there is no adapter of that name or the priority is not
     *     finite
     */
    public void setPriority(String name, double priority) {
        ManagedAdapter adapter = catalog.find(name);
        registry.setPriority(adapter.name(), priority);
        adapter.setPriority(priority);
    }

    /**
     * Sets what happens when an adapter cannot be had and a request does not say, until the store
     * is closed.
     *
     * @param name the adapter's name
     * @param policy the policy; null for that of the options
     * @throws LoraConfigurationException if there is no adapter of that name
     */
    public void setUnavailable(String name, UnavailablePolicy policy) {
        catalog.find(name).setUnavailable(policy);
    }

    /**
     * Leases an adapter, or every adapter of a stack, and waits for what has to be loaded, as long
     * as the options allow.
     *
     * @param name the name of an adapter or a stack
     * @return the lease, to be closed by the caller
     * @throws LoraConfigurationException if there is neither of that name
     * @throws ai.djl.lora.LoraException if it cannot be loaded, there is no room for it, or the
     *     time is over, and the adapter's policy, or else the options', allows nothing else
     */
    public AdapterLease acquire(String name) {
        return acquire(name, (UnavailablePolicy) null);
    }

    /**
     * Leases an adapter, or every adapter of a stack, and waits for what has to be loaded, as long
     * as the options allow.
     *
     * @param name the name of an adapter or a stack
     * @param policy what happens when it cannot be had; null for the adapter's own policy, or else
     *     the options'
     * @return the lease, to be closed by the caller, which says what it is of
     * @throws LoraConfigurationException if there is neither of that name
     * @throws ai.djl.lora.LoraException if it cannot be loaded, there is no room for it, or the
     *     time is over, and the policy allows nothing else
     */
    public AdapterLease acquire(String name, UnavailablePolicy policy) {
        return leasing.acquire(name, options.getAcquireTimeout(), policy);
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
        return acquire(name, timeout, null);
    }

    /**
     * Leases an adapter, or every adapter of a stack, when all of it is on the device.
     *
     * @param name the name of an adapter or a stack
     * @param timeout how long the caller is ready to wait
     * @param policy what happens when it cannot be had; null for the adapter's own policy, or else
     *     the options'
     * @return a future of the lease, as that of {@link #acquire(String, Duration)}
     * @throws LoraConfigurationException if there is neither of that name
     */
    public CompletableFuture<AdapterLease> acquire(
            String name, Duration timeout, UnavailablePolicy policy) {
        return leasing.acquireAsync(name, timeout, policy);
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

    /**
     * Takes an adapter from the device; it stays registered, and in the host's memory if there is
     * room.
     *
     * @param name the adapter's name
     * @return whether it is gone, or was not there; false while somebody uses it
     * @throws LoraConfigurationException if there is no adapter of that name
     */
    public boolean offload(String name) {
        return offload(catalog.find(name));
    }

    private boolean offload(ManagedAdapter adapter) {
        if (!adapter.isOnDevice()) {
            return true;
        }
        if (host.isEnabled() && !host.holds(adapter)) {
            host.offer(adapter, disk.read(adapter), Tier.Demand.FORESIGHT);
        }
        boolean gone = device.remove(adapter, EvictionCause.REQUEST);
        if (gone) {
            loads.retryParked();
        }
        return gone;
    }

    /**
     * Takes adapters from the device in the background.
     *
     * @param names the adapters' names
     * @return a future of the number that are not on the device any more; it fails if one could not
     *     be moved or the time that the options allow is over. Cancelling it keeps what has not
     *     begun from being moved
     * @throws LoraConfigurationException if there is no adapter of such a name
     * @throws LoraOffloadException if too many moves wait already
     */
    public CompletableFuture<Integer> offload(Collection<String> names) {
        List<ManagedAdapter> adapters = names.stream().distinct().map(catalog::find).toList();
        CompletableFuture<Integer> moved = new CompletableFuture<>();
        boolean begun =
                offloads.submit(
                        () -> {
                            try {
                                int gone = 0;
                                for (ManagedAdapter adapter : adapters) {
                                    gone += !moved.isDone() && offload(adapter) ? 1 : 0;
                                }
                                moved.complete(gone);
                            } catch (RuntimeException e) {
                                moved.completeExceptionally(e);
                            }
                        });
        if (!begun) {
            throw new LoraOffloadException(
                    "Adapters cannot be moved off the device now: "
                            + options.getMoveQueue()
                            + " moves are waiting");
        }
        return moved.orTimeout(options.getOffloadTimeout().toNanos(), TimeUnit.NANOSECONDS);
    }

    /**
     * Loads adapters that are expected to be asked for.
     *
     * @param names the adapters' names
     * @return a future that completes when all are on the device, and fails if one cannot be
     *     loaded; cancelling it does not keep those from being loaded that have begun
     * @throws LoraConfigurationException if there is no adapter of such a name
     */
    public CompletableFuture<Void> preload(Collection<String> names) {
        return CompletableFuture.allOf(
                names.stream()
                        .distinct()
                        .map(
                                name ->
                                        leasing.acquireAsync(
                                                        name,
                                                        options.getLoadTimeout(),
                                                        UnavailablePolicy.FAIL)
                                                .thenAccept(AdapterLease::close))
                        .toArray(CompletableFuture<?>[]::new));
    }

    /**
     * Loads what was asked for most before the last restart, as far as there is room on the device.
     *
     * @return a future of the number of adapters that are on the device by it; adapters that cannot
     *     be loaded are left out, and their requests will say why
     */
    public CompletableFuture<Integer> warmStart() {
        return new WarmStart(registry, catalog, device, leasing, options).run();
    }

    /**
     * Takes adapters from the device that nobody has used for a time.
     *
     * @param age the time
     * @return how many adapters are gone
     */
    public int cleanupUnused(Duration age) {
        return maintenance.cleanup(age);
    }

    /**
     * Compresses copies in the host's memory that nobody has used for a time.
     *
     * @param age the time
     * @return how many have become smaller
     */
    public int compressUnused(Duration age) {
        return maintenance.compress(age);
    }

    /** Lets no more loads begin for a reason, or lets them again; for tests. */
    void suspendLoads(String why) {
        loads.suspend(why);
    }

    /**
     * Returns the names of the registered adapters.
     *
     * @return the names, sorted
     */
    public Set<String> names() {
        return Collections.unmodifiableSet(catalog.names());
    }

    /**
     * Returns the names of the stacks.
     *
     * @return the names, sorted
     */
    public Set<String> stackNames() {
        return Collections.unmodifiableSet(catalog.stackNames());
    }

    /**
     * Returns the registry, to be read; changes go through this store.
     *
     * @return the registry
     */
    public AdapterRegistry getRegistry() {
        return registry;
    }

    /**
     * Returns what was applied of an adapter. Where that is not known any more the adapter is read
     * again.
     *
     * @param name the adapter's name
     * @return the report
     * @throws LoraConfigurationException if there is no adapter of that name
     * @throws ai.djl.lora.LoraException if it has to be read and cannot be
     */
    public LoadReport report(String name) {
        return report(catalog.find(name));
    }

    /** Returns what was applied of an adapter, which is read again where that is not known. */
    LoadReport report(ManagedAdapter adapter) {
        return adapter.report().orElseGet(() -> disk.readWhole(adapter).report());
    }

    /**
     * Returns what an adapter asks of the beginning of a sequence, without loading it.
     *
     * @param name the name of an adapter or a stack
     * @return what a prompt must leave room for and must hold
     * @throws LoraConfigurationException if there is neither of that name
     */
    public SequenceStart sequenceStart(String name) {
        Stack parts = catalog.partsOf(name);
        List<ManagedAdapter> adapters = parts.names().stream().map(catalog::find).toList();
        // parts of stacks are plain products
        return adapters.size() == 1 ? notes(adapters.get(0)).start() : SequenceStart.ANY;
    }

    /**
     * Returns the adapters behind a name.
     *
     * @param name the name of an adapter, an alias or a stack
     * @return the adapters' own names, of a stack those of its parts
     * @throws LoraConfigurationException if there is neither of that name
     */
    public List<String> partsOf(String name) {
        return catalog.partsOf(name).names().stream()
                .map(part -> catalog.find(part).name())
                .toList();
    }

    /**
     * Returns where an adapter is and how it is used.
     *
     * @param name the adapter's name
     * @return its state at this moment
     * @throws LoraConfigurationException if there is no adapter of that name
     */
    public AdapterState state(String name) {
        ManagedAdapter adapter = catalog.find(name);
        Optional<String> failure = loads.lastFailure(adapter).map(Throwable::getMessage);
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
                Duration.ofNanos(ticker.getAsLong() - adapter.since()),
                adapter.revision(),
                adapter.deviceEntry().bytes(),
                adapter.leases(),
                adapter.access().hits(),
                adapter.access().misses(),
                adapter.access().frequency(),
                adapter.access().lastUsed(),
                adapter.isPinned(),
                host.isCompressed(adapter),
                failure);
    }

    /**
     * Returns how this store stands and has done.
     *
     * @return the statistics
     */
    public StoreStatistics statistics() {
        return new StoreStatistics(
                catalog.adapters().size(),
                device.tier().statistics(),
                Optional.of(host.tier().statistics()).filter(tier -> host.isEnabled()),
                host.poolStatistics(),
                context.hasTable() && !context.isClosed()
                        ? context.getTable().poolStatistics()
                        : Optional.empty(),
                foresight.loadedCount(),
                foresight.usedCount(),
                foresight.wastedCount(),
                maintenance.compressed());
    }

    /**
     * Replays the recent requests against every eviction strategy, which takes some 10 milliseconds
     * for each.
     *
     * @return the strategy that would have served them best on the device, and what all would have
     *     reached
     */
    public Recommendation recommendStrategy() {
        return new StrategyAdvisor(options.getStrategies())
                .recommend(AccessRecorder.trace(device.tier().recent()), device.tier().limits());
    }

    /**
     * Adds who is told of loads and evictions.
     *
     * @param recorder who is told
     * @return makes it forgotten when it is closed
     */
    public ai.djl.lora.memory.Registration addRecorder(StoreRecorder recorder) {
        return events.add(recorder);
    }

    /**
     * Adds what takes memory beside adapters, for the memory monitor's samples. What is added under
     * one name counts together.
     *
     * @param name what takes the memory, such as {@link MemoryMonitor#KV_CACHE}
     * @param bytes how much it takes now, in bytes
     * @return takes it back when it is closed
     */
    public ai.djl.lora.memory.Registration addMemoryConsumer(String name, LongSupplier bytes) {
        return maintenance.addConsumer(name, bytes);
    }

    /**
     * Returns what watches the host's memory.
     *
     * @return the monitor, to be read; empty where it is switched off, or before the first adapter
     */
    public Optional<MemoryMonitor> getMemoryMonitor() {
        return maintenance.monitor();
    }

    /**
     * Returns what this store goes by.
     *
     * @return the options
     */
    public StoreOptions getOptions() {
        return options;
    }

    /**
     * Returns the memory of the GPU that the model lies on, and its device tier in it.
     *
     * @return the memory, which {@link #getDeviceMemoryMonitor()} watches where monitoring is on;
     *     empty where the model lies on the CPU, or the driver does not tell
     */
    public Optional<MemorySource> getDeviceMemory() {
        return gpu.source();
    }

    /**
     * Returns what watches the memory of the GPU that the model lies on. Its samples have the
     * consumers that are added to this store; its pressure makes no adapter leave, since the
     * adapters' memory on a GPU is taken whole.
     *
     * @return the monitor, to be read; empty where the model lies on the CPU or nothing is watched,
     *     or before the first adapter
     */
    public Optional<MemoryMonitor> getDeviceMemoryMonitor() {
        return maintenance.deviceMonitor();
    }

    /**
     * Takes in what a step of the model takes for activations, for what watches the memory that
     * they lie in.
     *
     * @param bytes the most that it takes at a time, in bytes
     */
    public void reportStep(long bytes) {
        getDeviceMemoryMonitor()
                .or(this::getMemoryMonitor)
                .ifPresent(monitor -> monitor.reportStep(bytes));
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
        return disk.readWhole(lease.adapters().get(0));
    }

    /** Fills another backend's table with what is resident, each adapter in its slot. */
    private void putAll(AdapterTable table) {
        for (ManagedAdapter adapter : device.residents()) {
            ReadyAdapter ready = host.peek(adapter).orElseGet(() -> disk.read(adapter));
            device.copyTo(table, adapter, ready);
        }
    }

    /**
     * Takes every name away, and ends what goes on in the background. What is still leased is freed
     * when its last lease is closed.
     */
    @Override
    public void close() {
        maintenance.close();
        Collection<ManagedAdapter> all = catalog.close();
        loads.close();
        offloads.close();
        all.forEach(this::retire);
        try {
            if (loads.awaitEnd(END) && offloads.awaitEnd(END)) {
                host.close();
                gpu.close();
            }
        } catch (InterruptedException e) {
            // the host's memory is left to whoever still reads it
            Thread.currentThread().interrupt();
        }
        if (ownsRegistry) {
            registry.close();
        }
    }
}
