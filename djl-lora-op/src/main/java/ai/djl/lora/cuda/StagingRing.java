/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cuda;

import ai.djl.lora.LoraBackendException;
import ai.djl.lora.LoraMemoryException;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Pinned buffers through which bytes of memory that is not pinned, such as arrays, reach a device:
 * while one is on its way the next is filled.
 *
 * <p>Who brings more than the device takes waits for the oldest buffer's event, and for nothing
 * else. May be used by any number of threads, one at a time.
 */
public final class StagingRing implements AutoCloseable {

    private final CopyStream stream;
    private final PinnedArena memory;
    private final long slotBytes;
    private final ReentrantLock lock = new ReentrantLock();

    /** In the order in which they become free. */
    private final Deque<Slot> slots = new ArrayDeque<>();

    private boolean closed;

    /**
     * Constructs a new {@code StagingRing} instance.
     *
     * @param stream what copies; stays open for as long as this
     * @param slots how many buffers, at least 2
     * @param slotBytes the size of each in bytes, a multiple of 64, at most 1 GiB; some MiB let the
     *     bus be used to the full
     * @throws LoraMemoryException if the system does not pin that much
     * @throws LoraBackendException if memory cannot be pinned at all
     */
    public StagingRing(CopyStream stream, int slots, int slotBytes) {
        if (slots < 2 || slotBytes < 64 || slotBytes % 64 != 0 || slotBytes > 1 << 30) {
            throw new IllegalArgumentException(
                    "A staging ring has at least 2 slots of a multiple of 64 bytes, at most 1 GiB,"
                            + " found "
                            + slots
                            + " of "
                            + slotBytes);
        }
        this.stream = stream;
        this.slotBytes = slotBytes;
        memory = new PinnedArena(stream.context(), (long) slots * slotBytes);
        for (int i = 0; i < slots; ++i) {
            this.slots.addLast(new Slot(memory.view((long) i * slotBytes, slotBytes), null));
        }
    }

    /**
     * Copies bytes to the device. When this returns, they have been read and may be changed; they
     * have arrived when the event has happened.
     *
     * @param source the bytes from its position to its limit, which stay as they are; any buffer
     * @param devicePointer the first byte's address on the device
     * @return the event behind the last byte
     * @throws LoraBackendException if the driver refuses a copy
     */
    public CopyEvent copyToDevice(ByteBuffer source, long devicePointer) {
        lock.lock();
        try {
            if (closed) {
                throw new IllegalStateException("The staging ring is closed");
            }
            ByteBuffer rest = source.duplicate();
            long target = devicePointer;
            CopyEvent last = null;
            while (rest.hasRemaining()) {
                int piece = (int) Math.min(slotBytes, rest.remaining());
                last = copy(rest.slice(rest.position(), piece), target);
                rest.position(rest.position() + piece);
                target += piece;
            }
            return last == null ? stream.record() : last;
        } finally {
            lock.unlock();
        }
    }

    /**
     * Copies an array's bytes to the device, as {@link #copyToDevice(ByteBuffer, long)} does.
     *
     * @param source the bytes
     * @param devicePointer the first byte's address on the device
     * @return the event behind the last byte
     * @throws LoraBackendException if the driver refuses a copy
     */
    public CopyEvent copyToDevice(byte[] source, long devicePointer) {
        return copyToDevice(ByteBuffer.wrap(source), devicePointer);
    }

    private CopyEvent copy(ByteBuffer piece, long target) {
        Slot slot = slots.removeFirst();
        CopyEvent event = slot.event();
        try {
            if (event != null) {
                event.await();
            }
            ByteBuffer filled = slot.view().duplicate();
            filled.put(piece).flip();
            event = stream.copyToDevice(List.of(new DeviceCopy(filled, target)));
            return event;
        } finally {
            slots.addLast(new Slot(slot.view(), event));
        }
    }

    /** Waits for the copies that were given, and gives the buffers back. */
    @Override
    public void close() {
        lock.lock();
        try {
            if (!closed) {
                closed = true;
                for (Slot slot : slots) {
                    if (slot.event() != null) {
                        slot.event().await();
                    }
                }
                memory.close();
            }
        } finally {
            lock.unlock();
        }
    }

    private record Slot(ByteBuffer view, CopyEvent event) {}
}
