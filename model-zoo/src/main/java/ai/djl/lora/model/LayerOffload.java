/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.lora.LoraBackendException;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraException;
import ai.djl.lora.LoraMemoryException;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.memory.MemoryOptions;
import ai.djl.lora.memory.MemoryReading;
import ai.djl.lora.memory.MemorySource;
import ai.djl.lora.nn.LoraLinear;
import ai.djl.lora.op.LayerStream;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.OffloadedWeight;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Decides which of a model's layers have their linear layers' weights on the GPU, and which in the
 * host's memory: the last ones, as few as the GPU's memory allows. Norms and biases stay on the
 * GPU, where they take next to nothing.
 *
 * <p>Streaming takes two buffers of a layer each, so one or two offloaded layers save nothing: with
 * a choice, there are none or three and more.
 */
final class LayerOffload {

    private static final Logger logger = LoggerFactory.getLogger(LayerOffload.class);

    private static final int BUFFERS = 2;

    /** The share of a GPU's memory that an engine takes for keys and values, as its options say. */
    private static final int KEYS_VALUES_SHARE = 8;

    /** After a move that failed, so many intervals pass until the next is tried. */
    private static final int PAUSE = 60;

    private final LoraContext context;
    private final int layerCount;
    private final List<List<Shape>> shapes;
    private final long layerBytes;
    private final MemoryOptions options;

    /** What tells the GPU's use from time to time; null where the number of layers is fixed. */
    private final MemorySource watched;

    /** How many are offloaded as they are loaded. */
    private final int planned;

    private final AtomicLong nextLook;

    /* Changed while no step runs, as the layers themselves. */
    private final List<LlamaDecoderLayer> layers = new ArrayList<>();
    private volatile LayerStream stream;

    private LayerOffload(
            LoraContext context,
            LlamaConfig config,
            MemoryOptions options,
            MemorySource watched,
            int planned) {
        this.context = context;
        this.options = options;
        this.watched = watched;
        this.planned = planned;
        layerCount = config.numHiddenLayers();
        shapes = Collections.nCopies(layerCount, LlamaWeights.layerShapes(config));
        layerBytes = layerBytes(context, config);
        nextLook = new AtomicLong(System.nanoTime() + options.sampleInterval().toNanos());
    }

    private static long layerBytes(LoraContext context, LlamaConfig config) {
        return LlamaWeights.layerShapes(config).stream().mapToLong(Shape::size).sum()
                * context.getType().bytes();
    }

    /**
     * Decides how many layers are offloaded as they are loaded.
     *
     * @param context the model's context
     * @param store the model's adapters, whose options say when layers are moved
     * @param config the model's configuration
     * @param modelBytes what all weights take
     * @param wanted how many layers; without, what the GPU's memory asks for
     * @return what takes each layer as it is loaded
     * @throws LoraConfigurationException if so many cannot be offloaded
     */
    static LayerOffload plan(
            LoraContext context,
            AdapterStore store,
            LlamaConfig config,
            long modelBytes,
            OptionalInt wanted) {
        MemoryOptions options = store.getOptions().getMemory();
        boolean gpu = context.getManager().getDevice().isGpu();
        if (wanted.isPresent()) {
            check(context, config, wanted.getAsInt());
            return new LayerOffload(context, config, options, null, wanted.getAsInt());
        }
        MemorySource source = gpu ? store.getDeviceMemory().orElse(null) : null;
        if (source == null) {
            return new LayerOffload(context, config, options, null, 0);
        }
        int planned = 0;
        try {
            MemoryReading memory = source.read();
            long others =
                    store.statistics().device().limits().bytes()
                            + memory.limit() / KEYS_VALUES_SHARE;
            long layer = layerBytes(context, config);
            long room =
                    (long) (options.layerOffload() * memory.limit())
                            - memory.used()
                            - others
                            - (modelBytes - config.numHiddenLayers() * layer);
            planned = fewest(config.numHiddenLayers(), layer, room);
            if (planned > 0) {
                logger.info(
                        "{} of {} layers are offloaded: {} of {} bytes are in use ({}), and {} are"
                                + " kept for adapters, keys and values",
                        planned,
                        config.numHiddenLayers(),
                        memory.used(),
                        memory.limit(),
                        memory.source(),
                        others);
            }
        } catch (IOException e) {
            logger.warn("No layer is offloaded: {}", e.getMessage());
        }
        boolean watches = store.getOptions().isMonitoringEnabled();
        return new LayerOffload(context, config, options, watches ? source : null, planned);
    }

    private static void check(LoraContext context, LlamaConfig config, int wanted) {
        if (wanted < 0 || wanted > config.numHiddenLayers()) {
            throw new LoraConfigurationException(
                    "Argument "
                            + LlamaBlockFactory.OFFLOAD_LAYERS
                            + " is "
                            + wanted
                            + "; allowed are auto and 0 to "
                            + config.numHiddenLayers()
                            + ", the model's layers");
        }
        if (wanted > 0 && !context.getManager().getDevice().isGpu()) {
            throw new LoraConfigurationException(
                    "Argument "
                            + LlamaBlockFactory.OFFLOAD_LAYERS
                            + " is "
                            + wanted
                            + ", and the model lies on "
                            + context.getManager().getDevice()
                            + "; layers are offloaded from a GPU alone");
        }
    }

    /** Returns the least number of offloaded layers with which the rest fits; all if none does. */
    static int fewest(int layerCount, long layerBytes, long room) {
        if (layerCount * layerBytes <= room) {
            return 0;
        }
        for (int offloaded = BUFFERS + 1; offloaded <= layerCount; ++offloaded) {
            if ((layerCount - offloaded + BUFFERS) * layerBytes <= room) {
                return offloaded;
            }
        }
        return layerCount > BUFFERS ? layerCount : 0;
    }

    /**
     * Takes a layer that was loaded, in their order, to the host's memory if it is to lie there.
     *
     * @param layer the layer
     */
    void loaded(LlamaDecoderLayer layer) {
        layers.add(layer);
        int index = layers.size() - 1;
        if (index >= layerCount - planned) {
            offload(index);
        }
    }

    private void offload(int index) {
        if (stream == null) {
            stream = open();
        }
        List<LoraLinear> linears = linears(index);
        List<OffloadedWeight> homes =
                stream.offload(index, linears.stream().map(LoraLinear::getWeight).toList());
        for (int i = 0; i < homes.size(); ++i) {
            linears.get(i).offload(homes.get(i));
        }
    }

    /** Returns a layer's linear layers. */
    List<LoraLinear> linears(int index) {
        return layers.get(index).linears();
    }

    private LayerStream open() {
        try {
            LayerStream opened = new LayerStream(context, shapes);
            context.addEnding(opened::close);
            return opened;
        } catch (LoraBackendException e) {
            throw new LoraConfigurationException(
                    "Layers cannot be offloaded: " + e.getMessage(), e);
        }
    }

    private void restoreOne() {
        List<LoraLinear> linears = linears(layerCount - offloaded());
        List<NDArray> weights = stream.restore();
        for (int i = 0; i < weights.size(); ++i) {
            linears.get(i).restore(weights.get(i));
        }
    }

    private int offloaded() {
        LayerStream opened = stream;
        return opened == null ? 0 : opened.offloadedLayers();
    }

    /** Returns how much less the model takes of the device's memory than with all layers there. */
    long savedBytes() {
        LayerStream opened = stream;
        return opened == null ? 0 : opened.offloadedLayers() * layerBytes - opened.bufferBytes();
    }

    /** Returns how many layers are where; empty where they cannot be offloaded. */
    Optional<OffloadStatistics> statistics() {
        if (!context.getManager().getDevice().isGpu()) {
            return Optional.empty();
        }
        LayerStream opened = stream;
        return Optional.of(
                opened == null
                        ? new OffloadStatistics(layerCount, 0, 0, true, 0)
                        : new OffloadStatistics(
                                layerCount,
                                opened.offloadedLayers(),
                                opened.hostBytes(),
                                opened.isPinned(),
                                opened.streamedBytes()));
    }

    /** Begins a step's way through the layers, inside the step; null if all are on the device. */
    LayerStream.Pass begin() {
        return offloaded() == 0 ? null : stream.begin();
    }

    /** Moves layers if it is time to look, and the memory asks for it. */
    void beforeStep() {
        if (watched == null) {
            return;
        }
        long now = System.nanoTime();
        long due = nextLook.get();
        long interval = options.sampleInterval().toNanos();
        if (now - due < 0 || !nextLook.compareAndSet(due, now + interval)) {
            return;
        }
        try {
            adjust();
        } catch (LoraException | IOException e) {
            // every layer is still somewhere, and the step needs no more
            nextLook.set(now + PAUSE * interval);
            logger.warn("Layers stay where they are: {}", e.getMessage());
        }
    }

    /**
     * Moves layers where the memory asks for it and no step runs: as many to the host's memory as
     * bring its use below the upper threshold, or one back to the device.
     *
     * @throws IOException if the memory's use cannot be read
     * @throws LoraException if a layer cannot be moved; it stays where it is
     */
    void adjust() throws IOException {
        MemoryReading memory = watched.read();
        int before = offloaded();
        boolean more = before < layerCount && layerCount > BUFFERS;
        if (memory.used() > threshold(memory) && more) {
            context.tryRunAlone(this::relieve);
        } else if (memory.ratio() < options.layerRestore()
                && before > 0
                && memory.used() + layerBytes <= threshold(memory)) {
            context.tryRunAlone(this::restore);
        }
    }

    private long threshold(MemoryReading memory) {
        return (long) (options.layerOffload() * memory.limit());
    }

    private void relieve() {
        if (isMerged()) {
            return;
        }
        // what libtorch only keeps for later counts as used, and costs nothing to give back
        LayerStream.releaseFreed();
        MemoryReading memory = read();
        long excess = memory.used() - threshold(memory);
        if (excess <= 0) {
            return;
        }
        int before = offloaded();
        long missing = (excess + layerBytes - 1) / layerBytes;
        long wanted = before + missing + Math.max(0, BUFFERS - before);
        int target = (int) Math.min(layerCount, wanted);
        for (int i = layerCount - before - 1; i >= layerCount - target; --i) {
            offload(i);
        }
        LayerStream.releaseFreed();
        logger.info(
                "{} of {} layers are offloaded, before {}: {} of {} bytes were in use ({})",
                target,
                layerCount,
                before,
                memory.used(),
                memory.limit(),
                memory.source());
    }

    private MemoryReading read() {
        try {
            return watched.read();
        } catch (IOException e) {
            throw new LoraMemoryException("The memory in use cannot be read: " + e.getMessage(), e);
        }
    }

    private void restore() {
        if (isMerged()) {
            return;
        }
        restoreOne();
        logger.info(
                "A layer is back on the device; {} of {} are offloaded", offloaded(), layerCount);
    }

    private boolean isMerged() {
        return layers.stream()
                .flatMap(layer -> layer.linears().stream())
                .anyMatch(LoraLinear::isMerged);
    }
}
