/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.LoraCompatibilityException;
import ai.djl.lora.LoraMemoryException;
import ai.djl.lora.adapter.LoadingPolicy;
import ai.djl.lora.adapter.LoraAdapter;
import ai.djl.lora.json.Message;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.registry.AdapterRegistry;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Adapters in their files. One that was checked whole when it was registered is read by the
 * checksums that were kept then; others are checked whole again.
 */
final class DiskTier {

    private static final Logger logger = LoggerFactory.getLogger(DiskTier.class);

    private final LoraContext context;
    private final AdapterReader reader;
    private final AdapterRegistry registry;
    private final Runnable makeRoom;

    /**
     * Constructs a new {@code DiskTier} instance.
     *
     * @param context the model's context
     * @param reader what reads files
     * @param registry where checksums are kept
     * @param makeRoom frees memory of the host's
     */
    DiskTier(
            LoraContext context,
            AdapterReader reader,
            AdapterRegistry registry,
            Runnable makeRoom) {
        this.context = context;
        this.reader = reader;
        this.registry = registry;
        this.makeRoom = makeRoom;
    }

    /** Reads an adapter that was registered, in the revision of then. */
    ReadyAdapter read(ManagedAdapter adapter) {
        Optional<DiskImage> image = notes(adapter).flatMap(AdapterNotes::image);
        Path source = adapter.source();
        return image.map(
                        known ->
                                withMemory(
                                        source,
                                        () -> ReadyAdapter.of(context, reader.read(source, known))))
                .orElseGet(
                        () -> {
                            LoraAdapter whole = readWhole(adapter);
                            return withMemory(source, () -> ReadyAdapter.of(context, whole));
                        });
    }

    /** Returns what was noted of an adapter when it was registered. */
    Optional<AdapterNotes> notes(ManagedAdapter adapter) {
        Optional<AdapterNotes> unrecorded = adapter.unrecorded();
        if (unrecorded.isPresent()) {
            return unrecorded;
        }
        return registry.find(adapter.name())
                .flatMap(found -> found.revision(adapter.revision()))
                .flatMap(
                        revision ->
                                AdapterNotes.decode(
                                        revision.checksums(),
                                        context.getModules(),
                                        context.getType()));
    }

    /** Reads an adapter that was registered and checks it whole. */
    LoraAdapter readWhole(ManagedAdapter managed) {
        LoraAdapter adapter = readWhole(managed.source(), managed.policy());
        if (!adapter.revision().equals(managed.revision())) {
            throw new LoraCompatibilityException(
                    "Adapter "
                            + Message.quote(managed.name())
                            + " was registered as revision "
                            + managed.revision()
                            + "; "
                            + Message.oneLine(managed.source().toString())
                            + " holds revision "
                            + adapter.revision()
                            + " now");
        }
        managed.setReport(adapter.report());
        return adapter;
    }

    /** Reads an adapter and checks it whole. */
    LoraAdapter readWhole(Path source, LoadingPolicy policy) {
        return withMemory(source, () -> reader.read(source, context, policy));
    }

    /** Does something; where memory is short, once more after some was freed. */
    private <T> T withMemory(Path source, Supplier<T> work) {
        try {
            return work.get();
        } catch (OutOfMemoryError e) {
            logger.warn("Memory is short: {}; adapters leave the host's", e.getMessage());
            makeRoom.run();
        }
        try {
            return work.get();
        } catch (OutOfMemoryError e) {
            throw new LoraMemoryException(
                    Message.oneLine(source.toString())
                            + ": there is no memory to read the adapter: "
                            + e.getMessage(),
                    e);
        }
    }
}
