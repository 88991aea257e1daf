/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cuda;

import ai.djl.lora.LoraBackendException;
import ai.djl.lora.LoraMemoryException;
import ai.djl.lora.memory.Arena;
import ai.djl.lora.memory.HostArena;
import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicBoolean;
import jcuda.driver.JCudaDriver;

/**
 * Memory of the host that stays where it is, which devices copy from and to on their own, beside
 * other work and at their full speed.
 *
 * <p>All of it is taken from the system at once, and none can be given back before {@link
 * #close()}. Every device may use it.
 *
 * <p>It is memory of the C library's that is pinned afterwards: what {@code cuMemHostAlloc} gives,
 * JCuda shows as one buffer, which ends at 2 GiB.
 */
public final class PinnedArena implements Arena<ByteBuffer> {

    /** A multiple of the system's pages, whatever their size: what is pinned is whole pages. */
    private static final long PAGE = 64 << 10;

    /** CU_MEMHOSTREGISTER_PORTABLE: for every context of the process. */
    private static final int PORTABLE = 1;

    private final CudaContext context;
    private final long bytes;
    private final HostArena memory;

    /** Where the pinned pages begin in the memory. */
    private final long start;

    private final AtomicBoolean closed = new AtomicBoolean();

    /**
     * Constructs a new {@code PinnedArena} instance.
     *
     * @param context any device's context, open for as long as this arena
     * @param bytes the size in bytes, at least 1; up to 128 KiB more are taken, for whole pages
     * @throws LoraMemoryException if the system does not give or pin that much
     * @throws LoraBackendException if memory cannot be pinned at all
     */
    public PinnedArena(CudaContext context, long bytes) {
        if (bytes < 1 || bytes > Long.MAX_VALUE - 4 * PAGE) {
            throw new IllegalArgumentException(
                    "An arena must have at least 1 byte, found " + bytes);
        }
        this.context = context;
        this.bytes = bytes;
        long pages = (bytes + PAGE - 1) / PAGE * PAGE;
        memory = new HostArena(pages + PAGE);
        start = -Handles.address(memory.view(0, 1)) & PAGE - 1;
        boolean pinned = false;
        try {
            context.call(
                    "Pinning " + pages + " bytes of the host's memory (cuMemHostRegister)",
                    () ->
                            JCudaDriver.cuMemHostRegister(
                                    Handles.host(memory.view(start, 1)), pages, PORTABLE));
            pinned = true;
        } finally {
            if (!pinned) {
                memory.close();
            }
        }
    }

    /** {@inheritDoc} */
    @Override
    public long bytes() {
        return bytes;
    }

    /** {@inheritDoc} */
    @Override
    public long largestView() {
        return Math.min(bytes, memory.largestView());
    }

    /**
     * {@inheritDoc}
     *
     * <p>The buffer is little endian.
     */
    @Override
    public ByteBuffer view(long address, long length) {
        return memory.view(start + address, length);
    }

    /** {@inheritDoc} */
    @Override
    public void move(long from, long to, long length) {
        memory.move(start + from, start + to, length);
    }

    /**
     * Gives the memory back. No view may be used from now on, and no copy may be under way. A
     * second call has no effect.
     */
    @Override
    public void close() {
        if (closed.compareAndSet(false, true)) {
            try {
                context.call(
                        "Releasing pinned memory of the host (cuMemHostUnregister)",
                        () -> JCudaDriver.cuMemHostUnregister(Handles.host(memory.view(start, 1))));
            } finally {
                memory.close();
            }
        }
    }
}
