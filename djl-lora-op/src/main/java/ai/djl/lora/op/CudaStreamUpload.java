/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.LoraMemoryException;
import ai.djl.lora.cuda.CopyEvent;
import ai.djl.lora.cuda.CopyStream;
import ai.djl.lora.cuda.CudaContext;
import ai.djl.lora.cuda.DeviceCopy;
import ai.djl.lora.cuda.ForeignStream;
import ai.djl.lora.cuda.PinnedArena;
import ai.djl.lora.jni.DeviceTableNative;
import ai.djl.lora.jni.LoraNative;
import ai.djl.ndarray.NDManager;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Copies adapters from pinned memory on a stream of copies, while libtorch's stream goes on
 * computing. Whoever puts an adapter waits for its own copy and for nothing else of the device's.
 *
 * <p>Memory that was freed, and entries that were moved to a larger table, are written to only when
 * what libtorch's stream had to do until then is done; the stream of copies waits for that, not a
 * thread.
 */
final class CudaStreamUpload extends CudaUpload {

    private static final Logger logger = LoggerFactory.getLogger(CudaStreamUpload.class);

    private final CudaUpload inStream;
    private final CudaContext context;
    private final CopyStream copies;
    private final PinnedStaging staging;
    private CopyEvent change;

    /**
     * Constructs a new {@code CudaStreamUpload} instance.
     *
     * @param manager the manager of what is needed meanwhile; stays the caller's
     * @param device the CUDA device
     */
    CudaStreamUpload(NDManager manager, int device) {
        super(manager);
        inStream = new InStream(manager);
        context = CudaContext.open(device);
        boolean made = false;
        try {
            copies = new CopyStream(context);
            made = true;
        } finally {
            if (!made) {
                context.close();
            }
        }
        staging = new PinnedStaging(bytes -> new PinnedArena(context, bytes));
        memoryChanged();
    }

    /** {@inheritDoc} */
    @Override
    void put(Target target, long block, long[] layout, float[] scales) {
        int row = Math.toIntExact(DeviceTableNative.rowBytes(target.table()));
        long bytes = target.bytes() + row;
        Optional<PinnedStaging.Part> taken = takePinned(bytes);
        if (taken.isEmpty()) {
            inStream.put(target, block, layout, scales);
            return;
        }
        try (PinnedStaging.Part part = taken.get()) {
            ByteBuffer pinned = part.buffer();
            long view = LoraNative.fromBuffer(pinned, 0, LoraNative.UINT8, new long[] {bytes});
            try {
                DeviceTableNative.pack(
                        target.table(),
                        target.slot(),
                        block,
                        layout,
                        scales,
                        target.arena(),
                        target.offset(),
                        view);
            } finally {
                LoraNative.deleteTensor(view);
            }
            boolean there = false;
            try {
                copy(target, pinned, row);
                there = true;
            } finally {
                if (!there) {
                    DeviceTableNative.remove(target.table(), target.slot());
                }
            }
        }
    }

    /* What the system does not pin is no want of room for adapters, which would make others go. */
    private Optional<PinnedStaging.Part> takePinned(long bytes) {
        try {
            return Optional.of(staging.take(bytes));
        } catch (LoraMemoryException e) {
            logger.warn("An adapter is copied to the GPU between steps: {}", e.getMessage());
            return Optional.empty();
        }
    }

    /* The entries come last: until then the slot is empty to every kernel. */
    private void copy(Target target, ByteBuffer pinned, int row) {
        int weights = Math.toIntExact(target.bytes());
        long address = DeviceTableNative.address(target.arena()) + target.offset();
        long entries = DeviceTableNative.entriesAddress(target.table(), target.slot());
        List<DeviceCopy> parts = new ArrayList<>();
        if (weights > 0) {
            parts.add(new DeviceCopy(pinned.slice(0, weights), address));
        }
        parts.add(new DeviceCopy(pinned.slice(weights, row), entries));
        CopyEvent done;
        synchronized (this) {
            if (change != null) {
                copies.waitFor(change);
                change = null;
            }
            done = copies.copyToDevice(parts);
        }
        done.await();
    }

    /** {@inheritDoc} */
    @Override
    synchronized void memoryChanged() {
        ForeignStream computing =
                new ForeignStream(context, DeviceTableNative.stream(context.device()));
        change = computing.record();
    }

    /** {@inheritDoc} */
    @Override
    long trim() {
        return staging.trim();
    }

    /** {@inheritDoc} */
    @Override
    public void close() {
        try {
            copies.close();
        } finally {
            staging.close();
            context.close();
        }
    }
}
