/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.engine.EngineException;
import ai.djl.lora.LoraBackendException;
import ai.djl.lora.LoraException;
import ai.djl.lora.LoraFallbackException;
import ai.djl.lora.memory.Registration;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What the adapted layers of one model share: the backend, the element type, the list of modules
 * and the table of resident adapters.
 *
 * <p>Layers add themselves while the model is built. The first call of {@link #getTable} ends that:
 * adapters are packed for a fixed list of modules.
 */
public final class LoraContext implements AutoCloseable {

    private static final Logger logger = LoggerFactory.getLogger(LoraContext.class);

    private final BackendManager backends;
    private final ElementType type;
    private final NDManager manager;
    private final List<LoraModule> modules = new ArrayList<>();
    private final Map<Integer, NDArray> weights = new HashMap<>();
    private final Map<Integer, OffloadedWeight> offloaded = new HashMap<>();
    private final Map<Integer, NDArray> biases = new HashMap<>();
    private final Map<String, Integer> norms = new LinkedHashMap<>();
    private final Map<Integer, AdapterExtras> extras = new ConcurrentHashMap<>();
    private final ReadWriteLock steps = new ReentrantReadWriteLock();
    private final Map<Class<?>, AutoCloseable> shared = new HashMap<>();
    private final List<Runnable> endings = new CopyOnWriteArrayList<>();
    private Consumer<AdapterTable> residents = table -> {};
    private volatile AdapterType adapterType = AdapterType.MODEL;
    private volatile LoraBackend backend;
    private ModelLayout.Embedding embedding;
    private NDArray embeddingTable;
    private ModelLayout.Attention attention;
    private AdapterTable table;
    private long adapterMemory;
    private boolean closed;

    /**
     * Constructs a new {@code LoraContext} instance.
     *
     * @param backends picks the backend, and the next one when it fails; this model's alone
     * @param type the type of weights and activations
     * @param manager the manager of the model's weights
     * @throws LoraBackendException if the backend does not compute in that type
     */
    public LoraContext(BackendManager backends, ElementType type, NDManager manager) {
        this.backends = backends;
        this.backend = backends.current();
        this.type = type;
        this.manager = manager;
        BackendChecks.supports(backend, type);
    }

    /**
     * Constructs a new {@code LoraContext} instance with one backend and no other to fall back on.
     *
     * @param backend the backend
     * @param type the type of weights and activations
     * @param manager the manager of the model's weights
     * @throws LoraBackendException if the backend does not compute in that type
     */
    public LoraContext(LoraBackend backend, ElementType type, NDManager manager) {
        this(BackendManager.of(backend), type, manager);
    }

    /**
     * Returns the backend in use.
     *
     * @return the backend
     */
    public LoraBackend getBackend() {
        return backend;
    }

    /**
     * Returns every backend, whether it can be used and how it has done for this model.
     *
     * @return the backends in the order of fallback
     */
    public List<BackendStatus> getBackendStatus() {
        return backends.status();
    }

    /**
     * Returns the backend's tensor operations.
     *
     * @return the operations
     */
    public TensorOps getOps() {
        return backend.getTensorOps(type);
    }

    /**
     * Returns the type of weights and activations.
     *
     * @return the type
     */
    public ElementType getType() {
        return type;
    }

    /**
     * Returns how resident adapters are held.
     *
     * @return the type
     */
    public AdapterType getAdapterType() {
        return adapterType;
    }

    /**
     * Sets how adapters are held that become resident from now on.
     *
     * @param adapterType the type; by default the model's own
     */
    public void setAdapterType(AdapterType adapterType) {
        this.adapterType = adapterType;
    }

    /**
     * Sets how much memory the table cuts adapters from, on this and any later backend that can.
     * The system gives its pages as they are first used. Without, each adapter has memory of its
     * own.
     *
     * @param bytes the size in bytes, 64 or more; or 0 for none
     * @throws IllegalArgumentException if the size is not allowed
     * @throws IllegalStateException if the table is in use already
     */
    public synchronized void setAdapterMemory(long bytes) {
        BackendChecks.adapterMemory(bytes);
        if (table != null) {
            throw new IllegalStateException(
                    "The adapters' memory cannot be set any more: the adapter table is in use");
        }
        adapterMemory = bytes;
    }

    /**
     * Returns whether the table has been made, from which on neither layers nor its memory change.
     *
     * @return whether {@link #getTable} was called
     */
    public synchronized boolean hasTable() {
        return table != null;
    }

    /**
     * Returns the manager of the model's weights.
     *
     * @return the manager
     */
    public NDManager getManager() {
        return manager;
    }

    /**
     * Adds a linear layer that adapters may change.
     *
     * @param name the layer's path in the checkpoint, without {@code .weight}
     * @param weight [out, in], of this context's type; stays the layer's
     * @param bias [out], or null
     * @return the module
     */
    public synchronized LoraModule addModule(String name, NDArray weight, NDArray bias) {
        requireEmptyTable(name);
        int out = Math.toIntExact(weight.getShape().get(0));
        int in = Math.toIntExact(weight.getShape().get(1));
        if (in < 1 || out < 1) {
            throw new IllegalArgumentException(
                    "Module " + name + " has shape [" + out + ", " + in + "]");
        }
        if (modules.stream().anyMatch(module -> module.name().equals(name))) {
            throw new IllegalArgumentException("Module " + name + " is there already");
        }
        LoraModule module = new LoraModule(modules.size(), name, in, out);
        modules.add(module);
        weights.put(module.index(), weight);
        if (bias != null) {
            biases.put(module.index(), bias);
        }
        return module;
    }

    private void requireEmptyTable(String name) {
        if (table != null) {
            throw new IllegalStateException(
                    "Module " + name + " comes too late: the adapter table is in use");
        }
    }

    /**
     * Adds a norm that adapters may replace.
     *
     * @param name the norm's path in the checkpoint, without {@code .weight}
     * @param size the number of its weights
     */
    public synchronized void addNorm(String name, int size) {
        requireEmptyTable(name);
        norms.put(name, size);
    }

    /**
     * Sets the embedding that adapters may change.
     *
     * @param embedding the embedding
     * @param weight its table [vocabulary, hidden], of this context's type; stays the model's
     */
    public synchronized void setEmbedding(ModelLayout.Embedding embedding, NDArray weight) {
        requireEmptyTable(embedding.name());
        this.embedding = embedding;
        this.embeddingTable = weight;
    }

    /**
     * Sets the shape of the keys and values that adapters may put before a sequence.
     *
     * @param attention the shape
     */
    public synchronized void setAttention(ModelLayout.Attention attention) {
        this.attention = attention;
    }

    /**
     * Returns what of the model adapters may change.
     *
     * @return the layout
     */
    public synchronized ModelLayout getLayout() {
        return new ModelLayout(
                List.copyOf(modules),
                Collections.unmodifiableMap(new LinkedHashMap<>(norms)),
                Optional.ofNullable(embedding),
                Optional.ofNullable(attention));
    }

    /**
     * Returns the base weight of a layer.
     *
     * @param module the layer's index
     * @return [out, in], the layer's own
     * @throws IllegalStateException if it lies in the host's memory; {@link #baseRows} reads it
     *     there too
     */
    public synchronized NDArray getBaseWeight(int module) {
        if (offloaded.containsKey(module)) {
            throw new IllegalStateException(
                    "The weight of " + modules.get(module).name() + " lies in the host's memory");
        }
        return weights.get(module);
    }

    /**
     * Takes note that a layer's base weight has moved. Called while nothing else uses the model
     * ({@link #runAlone}).
     *
     * @param module the layer's index
     * @param weight [out, in] on the device, the layer's own, or null if it is offloaded
     * @param home where it is if it is offloaded, or null
     */
    public synchronized void moveBaseWeight(int module, NDArray weight, OffloadedWeight home) {
        if (home == null) {
            weights.put(module, weight);
            offloaded.remove(module);
        } else {
            weights.remove(module);
            offloaded.put(module, home);
        }
    }

    /**
     * Returns rows of a layer's base weight, wherever that lies. Waits while layers are moved.
     *
     * @param rowManager the manager to attach the rows to, on the model's device
     * @param module the layer's index
     * @param from the first row
     * @param to the row behind the last
     * @return [to - from, in], to be read alone: a copy, or the layer's own memory
     */
    public NDArray baseRows(NDManager rowManager, int module, long from, long to) {
        // against those who move layers, and run alone
        steps.readLock().lock();
        try {
            NDArray weight;
            OffloadedWeight home;
            synchronized (this) {
                weight = weights.get(module);
                home = offloaded.get(module);
            }
            if (home != null) {
                return home.rows(rowManager, from, to);
            }
            NDArray rows = getOps().rows(weight, from, to);
            rows.attach(rowManager);
            return rows;
        } finally {
            steps.readLock().unlock();
        }
    }

    /**
     * Returns the base table of the embedding.
     *
     * @return [vocabulary, hidden], the model's own, or null if it has none that adapters may
     *     change
     */
    public synchronized NDArray getEmbeddingTable() {
        return embeddingTable;
    }

    /**
     * Returns the base bias of a layer.
     *
     * @param module the layer's index
     * @return [out], the layer's own, or null
     */
    public synchronized NDArray getBaseBias(int module) {
        return biases.get(module);
    }

    /**
     * Keeps what the adapter in a slot changes beside the operator's part.
     *
     * @param slot the adapter's slot in the table
     * @param extra the extras, owned by this context from now on
     */
    public void putExtras(int slot, AdapterExtras extra) {
        extras.put(slot, extra);
    }

    /**
     * Frees the extras of a slot, if it has any.
     *
     * @param slot the slot
     */
    public void removeExtras(int slot) {
        AdapterExtras extra = extras.remove(slot);
        if (extra != null) {
            extra.close();
        }
    }

    /**
     * Returns what the adapter of a row changes beside the operator's part.
     *
     * @param mix what the row uses
     * @return the extras, or null; always null for stacks, whose parts have none
     */
    public AdapterExtras extrasOf(AdapterMix mix) {
        return mix.size() == 1 && !extras.isEmpty() ? extras.get(mix.slot(0)) : null;
    }

    /**
     * Finds the rows of a step whose adapters change more than the operator's part. Done once for a
     * step, so that layers need not look for themselves.
     *
     * @param plan the step's plan; null for the base model alone
     * @return the plan with the extras of its rows
     * @throws IllegalArgumentException if an adapter with extras is weighted or part of a stack
     */
    public ResolvedPlan resolve(BatchPlan plan) {
        if (plan == null || plan.isBaseOnly() || extras.isEmpty()) {
            return new ResolvedPlan(plan, List.of());
        }
        long[] starts = plan.sharedSegmentStarts();
        List<ResolvedPlan.Part> parts = new ArrayList<>();
        for (int s = 0; s < plan.segments(); ++s) {
            AdapterMix mix = plan.mix(s);
            for (int i = 0; i < mix.size(); ++i) {
                AdapterExtras extra = extras.get(mix.slot(i));
                if (extra != null) {
                    requireAlone(mix, i);
                    parts.add(new ResolvedPlan.Part(starts[s], starts[s + 1], extra));
                }
            }
        }
        return new ResolvedPlan(plan, List.copyOf(parts));
    }

    /* What is replaced has no half; the operator refuses the same of its own vectors. */
    private static void requireAlone(AdapterMix mix, int index) {
        if (!mix.isPlain()) {
            throw new IllegalArgumentException(
                    "The adapter in slot "
                            + mix.slot(index)
                            + " changes more than linear layers' outputs; only adapters that do not"
                            + " may be weighted or stacked");
        }
    }

    /**
     * Returns the modules, each at its own index.
     *
     * @return the modules
     */
    public synchronized List<LoraModule> getModules() {
        return Collections.unmodifiableList(new ArrayList<>(modules));
    }

    /**
     * Returns the table of resident adapters.
     *
     * @return the table, owned by this context; another one after a change of the backend
     */
    public synchronized AdapterTable getTable() {
        if (closed) {
            throw new IllegalStateException("The model is closed");
        }
        if (table == null) {
            table = backend.newTable(manager, modules, type, adapterMemory);
        }
        return table;
    }

    /**
     * Sets who can fill an empty table with the resident adapters, each in its own slot; called
     * when another backend is put to use.
     *
     * @param loader puts every resident adapter into the table that it is given
     */
    public void setResidents(Consumer<AdapterTable> loader) {
        residents = loader;
    }

    /**
     * Runs a step of the model. While it runs nobody changes the backend or merges weights. When
     * the backend fails, the next one is put to use and the step is run again from its start, so a
     * step must not leave anything behind that its second run would trip over.
     *
     * @param step the step
     * @param <T> the type of its result
     * @return the step's result
     * @throws LoraFallbackException if no other backend can take over
     */
    public <T> T runStep(Supplier<T> step) {
        while (true) {
            LoraBackend used = null;
            RuntimeException failure;
            steps.readLock().lock();
            try {
                used = backend;
                return step.get();
            } catch (LoraBackendException | EngineException e) {
                failure = e;
            } finally {
                steps.readLock().unlock();
            }
            fallBack(used, failure);
        }
    }

    /**
     * Runs a change of the table during which the backend, and with it the table, stays the same.
     *
     * @param change the work
     */
    public void keepingBackend(Runnable change) {
        steps.readLock().lock();
        try {
            change.run();
        } finally {
            steps.readLock().unlock();
        }
    }

    /**
     * Runs what must not overlap with any step.
     *
     * @param change the work
     */
    public void runAlone(Runnable change) {
        steps.writeLock().lock();
        try {
            change.run();
        } finally {
            steps.writeLock().unlock();
        }
    }

    /**
     * Runs what must not overlap with any step, if that can be done at once.
     *
     * @param change the work
     * @return whether it was run; not if a step or a change runs, this thread's own among them
     */
    public boolean tryRunAlone(Runnable change) {
        if (!steps.writeLock().tryLock()) {
            return false;
        }
        try {
            change.run();
            return true;
        } finally {
            steps.writeLock().unlock();
        }
    }

    /**
     * Puts another backend to use, with every adapter that is resident now.
     *
     * @param name the backend's name
     * @throws ai.djl.lora.LoraConfigurationException if there is no backend of that name
     * @throws LoraBackendException if it cannot be used, or not in this model's type; the present
     *     one stays in use
     */
    public void useBackend(String name) {
        runAlone(
                () -> {
                    String before = backend.getName();
                    LoraBackend next = backends.use(name);
                    try {
                        BackendChecks.supports(next, type);
                        moveTo(next);
                    } catch (LoraException e) {
                        backends.use(before);
                        throw e;
                    }
                });
    }

    private void fallBack(LoraBackend failed, RuntimeException failure) {
        runAlone(
                () -> {
                    if (backend == failed) { // else another thread's step has been here before
                        moveTo(backends.fallBack(type, failure));
                    }
                });
    }

    /* Whoever calls this runs alone, so that nobody but a first getTable() looks at the table. */
    private void moveTo(LoraBackend next) {
        LoraBackend before = backend;
        boolean moved = false;
        // at once: packing an adapter takes tensor operations, in which the old backend may fail
        backend = next;
        try {
            moveTable(next);
            moved = true;
        } finally {
            if (!moved) {
                backend = before;
            }
        }
    }

    private void moveTable(LoraBackend next) {
        AdapterTable old;
        long memory;
        synchronized (this) {
            old = table;
            memory = adapterMemory;
        }
        if (old == null) {
            return;
        }
        AdapterTable filled = next.newTable(manager, modules, type, memory);
        try {
            residents.accept(filled);
        } catch (RuntimeException e) {
            filled.close();
            throw new LoraFallbackException(
                    "Backend "
                            + next.getName()
                            + " cannot take over the resident adapters: "
                            + e.getMessage(),
                    e);
        }
        synchronized (this) {
            table = filled;
        }
        old.close();
    }

    /**
     * Returns whether the table has been freed.
     *
     * @return whether this context is closed
     */
    public synchronized boolean isClosed() {
        return closed;
    }

    /**
     * Adds what has to end before the table is freed, such as who puts adapters into it. What was
     * added last ends first.
     *
     * @param ending ends it; a second call must have no effect
     * @return takes it back, for what has ended by itself
     */
    public Registration addEnding(Runnable ending) {
        endings.add(ending);
        return () -> endings.remove(ending);
    }

    /**
     * Returns what all users of the model share, such as an engine. It ends with the model, after
     * what was added later and before what was added earlier.
     *
     * @param type what it is; there is one of each type
     * @param maker makes it where there is none yet
     * @param <T> what it is
     * @return the one of this model, owned by it
     * @throws IllegalStateException if this context is closed
     */
    public <T extends AutoCloseable> T shared(Class<T> type, Supplier<T> maker) {
        synchronized (shared) {
            if (isClosed()) {
                throw new IllegalStateException("The model is closed");
            }
            AutoCloseable known = shared.get(type);
            if (known == null) {
                T made = maker.get();
                shared.put(type, made);
                addEnding(() -> end(made));
                known = made;
            }
            return type.cast(known);
        }
    }

    private static void end(AutoCloseable resource) {
        try {
            resource.close();
        } catch (Exception e) {
            logger.warn("{} could not be closed", resource, e);
        }
    }

    /** Ends what uses the table, and frees it. */
    @Override
    public void close() {
        // without the lock, which those who come to their end may need
        List<Runnable> lastFirst = new ArrayList<>(endings);
        Collections.reverse(lastFirst);
        lastFirst.forEach(Runnable::run);
        free();
    }

    private synchronized void free() {
        closed = true;
        List.copyOf(extras.keySet()).forEach(this::removeExtras);
        if (table != null) {
            table.close();
            table = null;
        }
    }
}
