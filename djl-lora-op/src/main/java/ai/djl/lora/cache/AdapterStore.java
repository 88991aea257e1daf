/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.LoraCompatibilityException;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraVariantException;
import ai.djl.lora.adapter.AdapterLoader;
import ai.djl.lora.adapter.LoadReport;
import ai.djl.lora.adapter.LoadingPolicy;
import ai.djl.lora.adapter.LoraAdapter;
import ai.djl.lora.op.AdapterExtras;
import ai.djl.lora.op.AdapterMix;
import ai.djl.lora.op.AdapterTable;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.PackedAdapter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * The adapters of one model by name. Each is loaded, checked against the model and made resident
 * when it is registered, and reached through leases alone.
 */
public final class AdapterStore implements AutoCloseable {

    private final LoraContext context;
    private final Map<String, ResidentAdapter> adapters = new TreeMap<>();

    /** Every adapter in the table: the named ones, and retired ones that are still leased. */
    private final Set<ResidentAdapter> residents = new LinkedHashSet<>();

    private final Map<String, Map<String, Float>> stacks = new TreeMap<>();
    private final Set<String> loading = new TreeSet<>();
    private boolean closed;

    /**
     * Constructs a new {@code AdapterStore} instance.
     *
     * @param context the model's context
     */
    public AdapterStore(LoraContext context) {
        this.context = context;
        context.setResidents(this::putAll);
    }

    /**
     * Loads an adapter from a folder in PEFT's layout and makes it resident.
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
        return register(name, directory, LoadingPolicy.STRICT);
    }

    /**
     * Loads an adapter as strictly as a policy says and makes it resident.
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
        reserve(name);
        try {
            LoraAdapter adapter = AdapterLoader.load(source, context.getLayout(), policy);
            PackedAdapter packed = AdapterPacker.pack(context, adapter);
            Optional<AdapterExtras> extras = ExtrasLoader.load(context, adapter);
            context.keepingBackend(() -> publish(name, adapter, policy, packed, extras));
            return adapter.report();
        } finally {
            synchronized (this) {
                loading.remove(name);
            }
        }
    }

    private synchronized void reserve(String name) {
        if (name == null || name.isBlank()) {
            throw new LoraConfigurationException("An adapter's name must not be blank");
        }
        checkOpen();
        checkFree(name);
        loading.add(name);
    }

    private void checkFree(String name) {
        if (adapters.containsKey(name) || loading.contains(name)) {
            throw new LoraConfigurationException(
                    "Adapter \"" + name + "\" is registered already; unregister it first");
        }
        if (stacks.containsKey(name)) {
            throw new LoraConfigurationException(
                    "\"" + name + "\" is a stack already; unregister it first");
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
    public synchronized void registerStack(String name, Map<String, Float> parts) {
        if (name == null || name.isBlank()) {
            throw new LoraConfigurationException("A stack's name must not be blank");
        }
        checkOpen();
        checkFree(name);
        if (parts.isEmpty()) {
            throw new LoraConfigurationException("Stack \"" + name + "\" has no adapters");
        }
        parts.forEach(
                (part, weight) -> {
                    if (!find(part).isStackable()) {
                        throw new LoraVariantException(
                                "Stack \""
                                        + name
                                        + "\" has \""
                                        + part
                                        + "\" in it, which is "
                                        + find(part).variants()
                                        + "; only plain low-rank products can be weighted and"
                                        + " added");
                    }
                    if (weight == null || !Float.isFinite(weight)) {
                        throw new LoraConfigurationException(
                                "Stack \""
                                        + name
                                        + "\" gives \""
                                        + part
                                        + "\" the weight "
                                        + weight
                                        + "; it must be finite");
                    }
                });
        stacks.put(name, new LinkedHashMap<>(parts));
    }

    private void publish(
            String name,
            LoraAdapter adapter,
            LoadingPolicy policy,
            PackedAdapter packed,
            Optional<AdapterExtras> extras) {
        int slot;
        try {
            slot = context.getTable().put(packed);
        } catch (RuntimeException e) {
            extras.ifPresent(AdapterExtras::close);
            throw e;
        }
        extras.ifPresent(extra -> context.putExtras(slot, extra));
        publish(new ResidentAdapter(name, adapter, policy, slot));
    }

    private synchronized void publish(ResidentAdapter adapter) {
        if (closed) {
            adapter.retire();
            freeIfGarbage(adapter);
            checkOpen();
        }
        adapters.put(adapter.name(), adapter);
        residents.add(adapter);
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
        context.keepingBackend(() -> retire(name));
    }

    private synchronized void retire(String name) {
        if (stacks.remove(name) != null) {
            return;
        }
        ResidentAdapter adapter = find(name);
        stacks.forEach(
                (stack, parts) -> {
                    if (parts.containsKey(name)) {
                        throw new LoraConfigurationException(
                                "Adapter \""
                                        + name
                                        + "\" is part of stack \""
                                        + stack
                                        + "\"; unregister the stack first");
                    }
                });
        adapters.remove(name);
        adapter.retire();
        freeIfGarbage(adapter);
    }

    /**
     * Leases an adapter, or every adapter of a stack.
     *
     * @param name the name of an adapter or a stack
     * @return the lease, to be closed by the caller
     * @throws LoraConfigurationException if there is neither of that name
     */
    public synchronized AdapterLease acquire(String name) {
        Map<String, Float> parts = stacks.get(name);
        return parts == null ? lease(name, Map.of(name, 1f)) : lease(name, parts);
    }

    private AdapterLease lease(String name, Map<String, Float> parts) {
        List<ResidentAdapter> leased = parts.keySet().stream().map(this::find).toList();
        int[] slots = leased.stream().mapToInt(ResidentAdapter::slot).toArray();
        float[] weights = new float[slots.length];
        int i = 0;
        for (float weight : parts.values()) {
            weights[i++] = weight;
        }
        AdapterMix mix = AdapterMix.stack(slots, weights);
        leased.forEach(ResidentAdapter::lease);
        return new AdapterLease(this, name, leased, mix);
    }

    /**
     * Returns the names of the registered adapters.
     *
     * @return the names, sorted
     */
    public synchronized Set<String> names() {
        return Collections.unmodifiableSet(new TreeSet<>(adapters.keySet()));
    }

    /**
     * Returns the names of the stacks.
     *
     * @return the names, sorted
     */
    public synchronized Set<String> stackNames() {
        return Collections.unmodifiableSet(new TreeSet<>(stacks.keySet()));
    }

    /**
     * Returns what was applied when an adapter was registered.
     *
     * @param name the adapter's name
     * @return the report
     * @throws LoraConfigurationException if there is no adapter of that name
     */
    public synchronized LoadReport report(String name) {
        return find(name).report();
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
        return reload(lease.adapters().get(0));
    }

    private LoraAdapter reload(ResidentAdapter resident) {
        LoraAdapter adapter =
                AdapterLoader.load(resident.source(), context.getLayout(), resident.policy());
        if (!adapter.revision().equals(resident.revision())) {
            throw new LoraCompatibilityException(
                    "Adapter \""
                            + resident.name()
                            + "\" was registered as revision "
                            + resident.revision()
                            + "; "
                            + resident.source()
                            + " holds revision "
                            + adapter.revision()
                            + " now");
        }
        return adapter;
    }

    /** Fills another backend's table with what is resident, each adapter in its slot. */
    private synchronized void putAll(AdapterTable table) {
        for (ResidentAdapter resident : residents) {
            table.put(resident.slot(), AdapterPacker.pack(context, reload(resident)));
        }
    }

    /** Takes every name away. What is still leased is freed when its last lease is closed. */
    @Override
    public void close() {
        context.keepingBackend(
                () -> {
                    synchronized (this) {
                        closed = true;
                        stacks.clear();
                        new ArrayList<>(adapters.keySet()).forEach(this::retire);
                    }
                });
    }

    void release(List<ResidentAdapter> leased) {
        context.keepingBackend(
                () -> {
                    synchronized (this) {
                        leased.forEach(ResidentAdapter::release);
                        leased.forEach(this::freeIfGarbage);
                    }
                });
    }

    private ResidentAdapter find(String name) {
        ResidentAdapter adapter = adapters.get(name);
        if (adapter == null) {
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

    private void freeIfGarbage(ResidentAdapter adapter) {
        if (adapter.isGarbage()) {
            residents.remove(adapter);
            if (!context.isClosed()) {
                context.removeExtras(adapter.slot());
                context.getTable().remove(adapter.slot());
            }
        }
    }

    private void checkOpen() {
        if (closed) {
            throw new IllegalStateException("The adapter store is closed");
        }
    }
}
