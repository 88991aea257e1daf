/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.Device;
import ai.djl.lora.LoraBackendException;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraFallbackException;
import ai.djl.lora.tensor.ElementType;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceLoader;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Picks the backend of a model: the preferred one, else the first in the order of fallback that can
 * be used. When a backend fails in the middle of work it gives the next one.
 *
 * <p>The order is the application's own providers, then those of other jars, then {@code cpu},
 * {@code cuda}, {@code jit} and {@code pytorch}. Each model has a manager of its own, so that one model's
 * failure does not move another, for the device that its arrays lie on.
 */
public final class BackendManager {

    private static final Logger logger = LoggerFactory.getLogger(BackendManager.class);

    private final Map<String, Entry> entries = new LinkedHashMap<>();
    private final Device device;
    private Entry current;

    private BackendManager(LoraBackend only) {
        device = Device.cpu();
        current = new Entry(new FixedProvider(only));
        entries.put(only.getName(), current);
    }

    private BackendManager(Builder builder) {
        device = builder.device;
        for (BackendProvider provider : builder.providers()) {
            if (entries.put(provider.getName(), new Entry(provider)) != null) {
                throw new LoraConfigurationException(
                        "Two backends are called \"" + provider.getName() + "\"");
            }
        }
        moveToFront(builder.fallbackOrder);
        if (builder.preferred != null) {
            use(builder.preferred);
        } else {
            current = firstUsable(null).orElseThrow(this::noneLeft);
        }
    }

    private void moveToFront(List<String> names) {
        Map<String, Entry> rest = new LinkedHashMap<>(entries);
        entries.clear();
        for (String name : names) {
            Entry entry = rest.remove(name);
            if (entry == null) {
                entries.putAll(rest);
                throw unknown(name);
            }
            entries.put(name, entry);
        }
        entries.putAll(rest);
    }

    /**
     * Returns a builder.
     *
     * @return the builder
     */
    public static Builder builder() {
        return new Builder();
    }

    /**
     * Returns a manager of one backend.
     *
     * @param backend the backend
     * @return the manager
     */
    public static BackendManager of(LoraBackend backend) {
        return new BackendManager(backend);
    }

    /**
     * Returns the backend in use.
     *
     * @return the backend
     */
    public synchronized LoraBackend current() {
        return current.backend();
    }

    /**
     * Puts another backend to use.
     *
     * @param name its name
     * @return the backend
     * @throws LoraConfigurationException if there is no backend of that name
     * @throws LoraBackendException if it cannot be used here; the present one stays in use
     */
    public synchronized LoraBackend use(String name) {
        Entry entry = entries.get(name);
        if (entry == null) {
            throw unknown(name);
        }
        Optional<String> reason = entry.provider.whyUnavailableOn(device);
        if (reason.isPresent()) {
            throw new LoraBackendException("Backend " + name + " cannot be used: " + reason.get());
        }
        LoraBackend backend = entry.backend();
        current = entry;
        return backend;
    }

    /**
     * Counts a failure of the backend in use and puts the next one to use that computes in the
     * given type and has not failed.
     *
     * @param type the type of the model's weights
     * @param failure what went wrong
     * @return the next backend
     * @throws LoraFallbackException if there is none; the present one stays in use
     */
    public synchronized LoraBackend fallBack(ElementType type, RuntimeException failure) {
        Entry failed = current;
        ++failed.failures;
        Entry next =
                firstUsable(type)
                        .orElseThrow(
                                () ->
                                        new LoraFallbackException(
                                                "Backend "
                                                        + failed.name()
                                                        + " failed ("
                                                        + failure.getMessage()
                                                        + ") and no other can take over in "
                                                        + type,
                                                failure));
        if (failed.failures == 1) {
            logger.warn("Backend {} failed; {} takes over", failed.name(), next.name(), failure);
        }
        current = next;
        return next.backend();
    }

    /**
     * Returns every backend, whether it can be used here and how it has done.
     *
     * @return the backends in the order of fallback
     */
    public synchronized List<BackendStatus> status() {
        List<BackendStatus> all = new ArrayList<>();
        for (Entry entry : entries.values()) {
            Optional<String> reason = entry.provider.whyUnavailableOn(device);
            all.add(
                    new BackendStatus(
                            entry.name(),
                            reason.isEmpty(),
                            reason.orElseGet(entry.provider::getDescription),
                            entry == current,
                            entry.failures));
        }
        return all;
    }

    private Optional<Entry> firstUsable(ElementType type) {
        return entries.values().stream()
                .filter(entry -> entry.failures == 0)
                .filter(entry -> entry.provider.whyUnavailableOn(device).isEmpty())
                .filter(entry -> type == null || entry.backend().supports(type))
                .findFirst();
    }

    private LoraConfigurationException unknown(String name) {
        return new LoraConfigurationException(
                "Unknown backend \""
                        + name
                        + "\"; there are "
                        + String.join(", ", entries.keySet()));
    }

    private LoraBackendException noneLeft() {
        return new LoraBackendException("No backend can be used: " + status());
    }

    /** A provider with the backend that it made and how that has done. */
    private static final class Entry {

        private final BackendProvider provider;
        private LoraBackend backend;
        private int failures;

        Entry(BackendProvider provider) {
            this.provider = provider;
        }

        String name() {
            return provider.getName();
        }

        LoraBackend backend() {
            if (backend == null) {
                backend = provider.create();
            }
            return backend;
        }
    }

    /** Provides a backend that is there already. */
    private record FixedProvider(LoraBackend backend) implements BackendProvider {

        @Override
        public String getName() {
            return backend.getName();
        }

        @Override
        public String getDescription() {
            return "given by the application";
        }

        @Override
        public Optional<String> whyUnavailable() {
            return Optional.empty();
        }

        @Override
        public LoraBackend create() {
            return backend;
        }
    }

    /** Builds a {@code BackendManager}. */
    public static final class Builder {

        private final List<BackendProvider> own = new ArrayList<>();
        private List<String> fallbackOrder = List.of();
        private String preferred;
        private Device device = Device.cpu();

        private Builder() {}

        /**
         * Sets the device that the model's arrays lie on; by default the CPU.
         *
         * @param device the device
         * @return this builder
         */
        public Builder optDevice(Device device) {
            this.device = device;
            return this;
        }

        /**
         * Sets the backend to use; by default it is the first that can be used.
         *
         * @param name its name, or null for the default
         * @return this builder
         */
        public Builder optPreferred(String name) {
            preferred = name;
            return this;
        }

        /**
         * Sets which backends are tried first.
         *
         * @param names their names; backends that are not named come behind them
         * @return this builder
         */
        public Builder optFallbackOrder(List<String> names) {
            fallbackOrder = List.copyOf(names);
            return this;
        }

        /**
         * Adds a backend of the application's own.
         *
         * @param provider its provider
         * @return this builder
         */
        public Builder addProvider(BackendProvider provider) {
            own.add(provider);
            return this;
        }

        /**
         * Builds the manager and picks a backend.
         *
         * @return the manager
         * @throws LoraConfigurationException if a name is unknown or two backends share one
         * @throws LoraBackendException if the preferred backend, or any, cannot be used here
         */
        public BackendManager build() {
            return new BackendManager(this);
        }

        private List<BackendProvider> providers() {
            List<BackendProvider> all = new ArrayList<>(own);
            ServiceLoader.load(BackendProvider.class).forEach(all::add);
            all.add(new NativeBackendProvider());
            all.add(new CudaBackendProvider());
            all.add(new JitBackendProvider());
            all.add(new NdArrayBackendProvider());
            return all;
        }
    }
}
