/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.engine.EngineException;
import ai.djl.lora.LoraBackendException;
import ai.djl.lora.LoraException;
import ai.djl.lora.LoraMemoryException;
import ai.djl.lora.LoraOffloadException;
import ai.djl.lora.cuda.CopyEvent;
import ai.djl.lora.cuda.CopyStream;
import ai.djl.lora.cuda.CudaContext;
import ai.djl.lora.cuda.DeviceCopy;
import ai.djl.lora.cuda.ForeignStream;
import ai.djl.lora.cuda.PinnedArena;
import ai.djl.lora.jni.DeviceTableNative;
import ai.djl.lora.memory.Arena;
import ai.djl.lora.memory.HostArena;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.pytorch.jni.JniUtils;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Layers of a model on a GPU whose weights lie in the host's memory, and come to the device in each
 * step, layer ahead of layer.
 *
 * <p>There are two buffers on the device, one for the layers of even and one for those of odd
 * index, so that a layer's arrays stay the same for as long as it is offloaded. Copies run on a
 * stream of their own: libtorch's stream waits for the copy of the layer that it computes next, and
 * as soon as a layer was launched the copy of the next one in its buffer is queued behind it, at
 * the end of a step that of the next step's first. No thread waits.
 *
 * <p>Layers are moved only while no step runs ({@link LoraContext#runAlone}). Steps that stream
 * layers run one after another.
 */
public final class LayerStream implements AutoCloseable {

    private static final Logger logger = LoggerFactory.getLogger(LayerStream.class);

    private static final int BUFFERS = 2;
    private static final int NONE = -1;

    /** Where in a layer a weight may begin, in bytes: kernels load whole lines. */
    private static final long ALIGNMENT = 512;

    /** The most that is copied at a time, in bytes. */
    private static final long PIECE = 1L << 30;

    private final LoraContext context;
    private final NativeTensorOps ops = new NativeTensorOps();
    private final List<Layout> layouts;
    private final long bufferBytes;
    private final CudaContext cuda;
    private final CopyStream copies;

    /** Held by who runs a step, moves a layer or closes this. */
    private final ReentrantLock lock = new ReentrantLock();

    /* Guarded by the lock. */
    private final NavigableMap<Integer, HostLayer> layers = new TreeMap<>();
    private final Buffer[] buffers = {new Buffer(), new Buffer()};
    private int entered = NONE;
    private boolean closed;

    private final AtomicLong streamedBytes = new AtomicLong();

    /* Written under the lock, read by anybody. */
    private volatile long hostBytes;
    private volatile int offloaded;
    private volatile boolean pinned = true;

    /**
     * Constructs a new {@code LayerStream} instance without offloaded layers.
     *
     * @param context the model's context, on a GPU
     * @param shapes for each layer the shapes of its weights
     * @throws LoraBackendException if the GPU's driver cannot be used from here
     */
    public LayerStream(LoraContext context, List<List<Shape>> shapes) {
        this.context = context;
        int elementBytes = context.getType().bytes();
        layouts = shapes.stream().map(layer -> Layout.of(layer, elementBytes)).toList();
        bufferBytes = layouts.stream().mapToLong(Layout::bytes).max().orElse(0);
        cuda = CudaContext.open(NativeTensorOps.device(context.getManager()));
        boolean made = false;
        try {
            copies = new CopyStream(cuda);
            made = true;
        } finally {
            if (!made) {
                cuda.close();
            }
        }
    }

    /**
     * Returns how many layers are offloaded.
     *
     * @return the number
     */
    public int offloadedLayers() {
        return offloaded;
    }

    /**
     * Returns what the offloaded layers take of the host's memory.
     *
     * @return the size in bytes
     */
    public long hostBytes() {
        return hostBytes;
    }

    /**
     * Returns what the buffers take of the device's memory.
     *
     * @return the size in bytes
     */
    public long bufferBytes() {
        return Math.min(BUFFERS, offloaded) * bufferBytes;
    }

    /**
     * Returns how many bytes of layers were brought to the device for steps.
     *
     * @return the bytes since the model was loaded
     */
    public long streamedBytes() {
        return streamedBytes.get();
    }

    /**
     * Returns whether all of the host's memory for layers was pinned. Without, copies are slower
     * and do not run beside steps.
     *
     * @return whether it was
     */
    public boolean isPinned() {
        return pinned;
    }

    /**
     * Takes a layer to the host's memory. No step may run. When this returns, the arrays that were
     * given may be closed.
     *
     * @param layer the layer's index, next to those that are offloaded
     * @param weights the layer's weights on the device, in their order, whole arrays
     * @return where they are from now on, in the same order
     * @throws LoraOffloadException if memory is missing or the copy fails; the layer stays as it is
     */
    public List<OffloadedWeight> offload(int layer, List<NDArray> weights) {
        return locked(
                "Layer " + layer + " cannot be taken to the host's memory",
                () -> {
                    requireNext(layer);
                    Layout layout = layouts.get(layer);
                    Arena<ByteBuffer> memory = take(layout.bytes());
                    boolean done = false;
                    try {
                        copyToHost(weights, layout, memory);
                        List<OffloadedWeight> views = addViews(layer, layout);
                        layers.put(layer, new HostLayer(layer, layout, memory, views));
                        done = true;
                        count();
                        return views;
                    } finally {
                        if (!done) {
                            memory.close();
                        }
                    }
                });
    }

    private void requireNext(int layer) {
        if (!layers.isEmpty() && layer != layers.firstKey() - 1 && layer != layers.lastKey() + 1) {
            throw new IllegalArgumentException(
                    "Layer "
                            + layer
                            + " is not next to the offloaded ones, "
                            + layers.firstKey()
                            + " to "
                            + layers.lastKey());
        }
    }

    private void count() {
        offloaded = layers.size();
        hostBytes = layers.values().stream().mapToLong(each -> each.layout().bytes()).sum();
    }

    private Arena<ByteBuffer> take(long bytes) {
        try {
            return new PinnedArena(cuda, bytes);
        } catch (LoraBackendException | LoraMemoryException e) {
            if (pinned) {
                pinned = false;
                logger.warn(
                        "Offloaded layers lie in memory that is not pinned, which makes their"
                                + " copies slow: {}",
                        e.getMessage());
            }
            return new HostArena(bytes);
        }
    }

    private void copyToHost(List<NDArray> weights, Layout layout, Arena<ByteBuffer> memory) {
        List<DeviceCopy> parts = new ArrayList<>();
        for (int i = 0; i < weights.size(); ++i) {
            NDArray weight = weights.get(i);
            if (!weight.getShape().equals(layout.shapes().get(i))) {
                throw new IllegalArgumentException(
                        "Weight "
                                + i
                                + " has shape "
                                + weight.getShape()
                                + "; expected "
                                + layout.shapes().get(i));
            }
            long address = DeviceTableNative.address(NativeTensorOps.handle(weight));
            addPieces(parts, memory, layout.offsets().get(i), layout.sizes().get(i), address);
        }
        copies.waitFor(computing().record());
        copies.copyToHost(parts).await();
    }

    private static void addPieces(
            List<DeviceCopy> parts,
            Arena<ByteBuffer> memory,
            long offset,
            long bytes,
            long address) {
        long most = Math.min(PIECE, memory.largestView());
        for (long done = 0; done < bytes; done += most) {
            long piece = Math.min(most, bytes - done);
            parts.add(new DeviceCopy(memory.view(offset + done, piece), address + done));
        }
    }

    private List<OffloadedWeight> addViews(int layer, Layout layout) {
        Buffer buffer = buffer(layer);
        if (buffer.memory == null) {
            long elements = bufferBytes / context.getType().bytes();
            buffer.memory = ops.empty(context.getManager(), new Shape(elements), context.getType());
        }
        List<OffloadedWeight> views = new ArrayList<>();
        for (int i = 0; i < layout.shapes().size(); ++i) {
            NDArray view = view(buffer.memory, layout, i);
            views.add(new OffloadedWeight(this, layer, i, view));
        }
        ++buffer.users;
        return views;
    }

    private NDArray view(NDArray memory, Layout layout, int part) {
        int elementBytes = context.getType().bytes();
        long from = layout.offsets().get(part) / elementBytes;
        Shape shape = layout.shapes().get(part);
        try (NDArray flat = ops.rows(memory, from, from + shape.size())) {
            return flat.reshape(shape);
        }
    }

    /**
     * Brings the first of the offloaded layers back to the device for good. No step may run.
     *
     * @return the layer's weights, of the context's manager, in their order
     * @throws LoraOffloadException if memory is missing or the copy fails; the layer stays
     *     offloaded
     */
    public List<NDArray> restore() {
        return locked(
                "A layer cannot be brought back to the device",
                () -> {
                    HostLayer layer = layers.firstEntry().getValue();
                    List<NDArray> arrays = copyBack(layer);
                    layers.remove(layer.index());
                    count();
                    drop(layer);
                    return arrays;
                });
    }

    private List<NDArray> copyBack(HostLayer layer) {
        List<NDArray> arrays = new ArrayList<>();
        List<DeviceCopy> parts = new ArrayList<>();
        Layout layout = layer.layout();
        boolean done = false;
        try {
            for (int i = 0; i < layout.shapes().size(); ++i) {
                NDManager manager = context.getManager();
                NDArray array = ops.empty(manager, layout.shapes().get(i), context.getType());
                arrays.add(array);
                long address = DeviceTableNative.address(NativeTensorOps.handle(array));
                addPieces(
                        parts,
                        layer.memory(),
                        layout.offsets().get(i),
                        layout.sizes().get(i),
                        address);
            }
            // libtorch may have given memory that kernels of its stream still read
            copies.waitFor(computing().record());
            copies.copyToDevice(parts).await();
            done = true;
            return arrays;
        } finally {
            if (!done) {
                try {
                    copies.record().await(); // those parts that were taken
                } finally {
                    arrays.forEach(NDArray::close);
                }
            }
        }
    }

    /* No copy reads the layer's memory any more: its own came last, and was waited for. */
    private void drop(HostLayer layer) {
        layer.weights().forEach(OffloadedWeight::close);
        Buffer buffer = buffer(layer.index());
        if (buffer.held == layer.index()) {
            buffer.held = NONE;
        }
        if (--buffer.users == 0) {
            buffer.memory.close();
            buffer.memory = null;
            buffer.ready = null;
            buffer.used = null;
            buffer.held = NONE;
        }
        layer.memory().close();
    }

    /**
     * Gives memory of the device back that libtorch keeps for later arrays, so that the driver
     * counts it as free. Waits for the device.
     */
    public static void releaseFreed() {
        JniUtils.emptyCudaCache();
    }

    /**
     * Begins to bring layers to the device for a step. Until it is closed no other thread's step
     * begins.
     *
     * @return to be told of each offloaded layer of the step
     * @throws LoraOffloadException if the driver refuses to copy
     */
    public Pass begin() {
        Pass pass = new Pass();
        boolean begun = false;
        try {
            if (closed) {
                throw new IllegalStateException("The model is closed");
            }
            for (HostLayer layer : layers.headMap(firstOffloaded() + BUFFERS).values()) {
                fill(layer);
            }
            begun = true;
            return pass;
        } finally {
            if (!begun) {
                pass.close();
            }
        }
    }

    private int firstOffloaded() {
        return layers.isEmpty() ? layouts.size() : layers.firstKey();
    }

    /** The way of one step through the layers; of the thread that began it alone. */
    public final class Pass implements AutoCloseable {

        private boolean ended;

        private Pass() {
            lock.lock();
        }

        /**
         * Lets libtorch's stream go on only when a layer's weights are there.
         *
         * @param layer the index of the layer that is computed next
         * @return whether it is offloaded; nothing is done for others
         * @throws LoraOffloadException if the driver refuses to copy
         */
        public boolean enter(int layer) {
            HostLayer offloadedLayer = layers.get(layer);
            if (offloadedLayer == null) {
                return false;
            }
            fill(offloadedLayer);
            of(layer, () -> computing().waitFor(buffer(layer).ready));
            entered = layer;
            return true;
        }

        /**
         * Takes note that a layer was launched, and queues the copy of the next one into its
         * buffer.
         *
         * @param layer the index that {@link #enter} was given last
         * @throws LoraOffloadException if the driver refuses
         */
        public void leave(int layer) {
            requireEntered(layer);
            Buffer buffer = buffer(layer);
            entered = NONE;
            buffer.used = null;
            of(layer, () -> buffer.used = computing().record());
            HostLayer next = layers.get(layer + BUFFERS);
            if (next == null) {
                int first = firstOffloaded();
                next = layers.get(first % BUFFERS == layer % BUFFERS ? first : first + 1);
            }
            try {
                fill(next);
            } catch (LoraOffloadException e) {
                // this step has what it needs; who needs that layer tries again, and fails
                logger.warn("{}", e.getMessage());
            }
        }

        /** Ends the step's way, also where it failed. */
        @Override
        public void close() {
            if (ended) {
                return;
            }
            ended = true;
            if (entered != NONE) {
                // part of the layer may have been launched; the copy into its buffer comes later
                buffer(entered).used = null;
                entered = NONE;
            }
            lock.unlock();
        }
    }

    /** Brings a layer into its buffer, behind all that was launched with what lay there. */
    private void fill(HostLayer layer) {
        Buffer buffer = buffer(layer.index());
        if (buffer.held == layer.index()) {
            return;
        }
        buffer.held = NONE;
        long address = DeviceTableNative.address(NativeTensorOps.handle(buffer.memory));
        List<DeviceCopy> parts = new ArrayList<>();
        addPieces(parts, layer.memory(), 0, layer.layout().bytes(), address);
        of(
                layer.index(),
                () -> {
                    if (buffer.used == null) {
                        buffer.used = computing().record();
                    }
                    copies.waitFor(buffer.used);
                    buffer.ready = copies.copyToDevice(parts);
                });
        buffer.held = layer.index();
        streamedBytes.addAndGet(layer.layout().bytes());
    }

    /* Not the backend's failure: another backend would need the same copy. */
    private void of(int layer, Runnable calls) {
        try {
            calls.run();
        } catch (LoraBackendException | LoraMemoryException e) {
            throw new LoraOffloadException(
                    "Layer " + layer + " cannot be brought to the device: " + e.getMessage(), e);
        }
    }

    void requireEntered(int layer) {
        if (!lock.isHeldByCurrentThread() || entered != layer) {
            throw new IllegalStateException(
                    "Layer "
                            + layer
                            + " is offloaded: its weights are on the device while the model's own"
                            + " steps compute it, and at no other time");
        }
    }

    NDArray rows(NDManager manager, int layer, int part, long from, long to) {
        lock.lock();
        try {
            if (closed) {
                throw new IllegalStateException("The model is closed");
            }
            HostLayer held = layers.get(layer);
            Layout layout = held.layout();
            Shape shape = layout.shapes().get(part);
            long rowBytes = layout.sizes().get(part) / shape.get(0);
            ByteBuffer bytes =
                    held.memory()
                            .view(
                                    layout.offsets().get(part) + from * rowBytes,
                                    (to - from) * rowBytes);
            Shape rows = new Shape(to - from).addAll(shape.slice(1));
            return ops.fromBuffer(manager, bytes, context.getType(), context.getType(), rows);
        } finally {
            lock.unlock();
        }
    }

    private Buffer buffer(int layer) {
        return buffers[layer % BUFFERS];
    }

    private ForeignStream computing() {
        return new ForeignStream(cuda, DeviceTableNative.stream(cuda.device()));
    }

    private <T> T locked(String what, Supplier<T> move) {
        lock.lock();
        try {
            if (closed) {
                throw new IllegalStateException("The model is closed");
            }
            return move.get();
        } catch (LoraBackendException | LoraMemoryException | EngineException e) {
            throw new LoraOffloadException(what + ": " + e.getMessage(), e);
        } finally {
            lock.unlock();
        }
    }

    /** Waits for the step that runs and for copies, and gives the host's memory back. */
    @Override
    public void close() {
        lock.lock();
        try {
            if (closed) {
                return;
            }
            closed = true;
            try {
                copies.close();
            } catch (LoraException e) {
                logger.warn("A copy of an offloaded layer failed: {}", e.getMessage());
            }
            layers.values().forEach(layer -> layer.memory().close());
            layers.clear();
            count();
            cuda.close();
        } finally {
            lock.unlock();
        }
    }

    /** Memory on the device that layers take turns in. */
    private static final class Buffer {

        private NDArray memory;
        private int users;

        /** The layer that lies there when {@link #ready} has happened. */
        private int held = NONE;

        private CopyEvent ready;

        /** Behind what was launched with the layer there; null where that is not known. */
        private CopyEvent used;
    }

    /**
     * A layer in the host's memory.
     *
     * @param index its index in the model
     * @param layout where its weights lie in the memory, and likewise in a buffer
     * @param memory the memory
     * @param weights what the layer's blocks have of it
     */
    private record HostLayer(
            int index, Layout layout, Arena<ByteBuffer> memory, List<OffloadedWeight> weights) {}

    /**
     * Where a layer's weights lie, one behind the other.
     *
     * @param shapes their shapes
     * @param offsets where each begins, in bytes
     * @param sizes what each takes, in bytes
     * @param bytes what all take
     */
    private record Layout(List<Shape> shapes, List<Long> offsets, List<Long> sizes, long bytes) {

        static Layout of(List<Shape> shapes, int elementBytes) {
            List<Long> offsets = new ArrayList<>();
            List<Long> sizes = new ArrayList<>();
            long end = 0;
            for (Shape shape : shapes) {
                long size = Math.multiplyExact(shape.size(), elementBytes);
                offsets.add(end);
                sizes.add(size);
                end += (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
            }
            return new Layout(List.copyOf(shapes), offsets, sizes, end);
        }
    }
}
