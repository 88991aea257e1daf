/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

import ai.djl.lora.LoraMemoryException;
import com.sun.jna.Function;
import com.sun.jna.Memory;
import com.sun.jna.NativeLong;
import com.sun.jna.Platform;
import com.sun.jna.Pointer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Memory of the host outside the Java heap, in one stretch of any size.
 *
 * <p>It comes from the C library and not from {@link ByteBuffer#allocateDirect}: a direct buffer
 * ends at 2 GiB, counts against {@code -XX:MaxDirectMemorySize}, is written full of zeros at once,
 * and is freed when the garbage collector comes to it. This memory takes up pages as blocks are
 * first written, and is given back on {@link #close()}. What a fresh block holds is undefined.
 */
public final class HostArena implements Arena<ByteBuffer> {

    private static final long WINDOW_STRIDE = 64L << 20;

    /** The largest multiple of the alignment that a byte buffer can show. */
    private static final long WINDOW_BYTES =
            (long) Integer.MAX_VALUE / BlockPool.ALIGNMENT * BlockPool.ALIGNMENT;

    /** A multiple of the system's pages, whatever their size: 4, 16 or 64 KiB. */
    private static final long PAGE = 64 << 10;

    private static final long ALIGNED = BlockPool.ALIGNMENT - 1;

    /** Linux' MADV_DONTNEED. */
    private static final int DONT_NEED = 4;

    private final long bytes;
    private final Memory memory;

    /**
     * Buffers over the memory that begin a stride apart and overlap, so that every part of up to
     * {@link #largestView()} bytes lies within one of them.
     */
    private final ByteBuffer[] windows;

    /**
     * Constructs a new {@code HostArena} instance.
     *
     * @param bytes the size in bytes, at least 1; up to 63 more are taken to align it
     * @throws LoraMemoryException if the machine does not give that much
     */
    public HostArena(long bytes) {
        if (bytes < 1 || bytes > Long.MAX_VALUE - BlockPool.ALIGNMENT) {
            throw new IllegalArgumentException(
                    "An arena must have at least 1 byte, found " + bytes);
        }
        this.bytes = bytes;
        try {
            memory = new Memory(bytes + BlockPool.ALIGNMENT - 1);
        } catch (OutOfMemoryError e) {
            throw new LoraMemoryException(
                    "An arena of " + bytes + " bytes was refused by the operating system", e);
        }
        long start = -Pointer.nativeValue(memory) & BlockPool.ALIGNMENT - 1;
        windows = new ByteBuffer[Math.toIntExact((bytes - 1) / WINDOW_STRIDE + 1)];
        for (int i = 0; i < windows.length; ++i) {
            long offset = i * WINDOW_STRIDE;
            windows[i] =
                    memory.getByteBuffer(start + offset, Math.min(WINDOW_BYTES, bytes - offset));
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
        return Math.min(bytes, WINDOW_BYTES - WINDOW_STRIDE);
    }

    /**
     * {@inheritDoc}
     *
     * <p>The buffer is little endian.
     */
    @Override
    public ByteBuffer view(long address, long length) {
        int window = (int) (address / WINDOW_STRIDE);
        int offset = (int) (address % WINDOW_STRIDE);
        return windows[window].slice(offset, (int) length).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** {@inheritDoc} */
    @Override
    public void move(long from, long to, long length) {
        // put copies overlapping memory as if through a buffer between, as its documentation says
        view(to, length).put(0, view(from, length), 0, (int) length);
    }

    /**
     * {@inheritDoc}
     *
     * <p>Under Linux, by whole pages.
     */
    @Override
    public long discard(long address, long length) {
        if (!Platform.isLinux()) {
            return 0;
        }
        long start = Pointer.nativeValue(memory) + (-Pointer.nativeValue(memory) & ALIGNED);
        long from = start + address + PAGE - 1 & -PAGE;
        long whole = (start + address + length & -PAGE) - from;
        if (whole <= 0) {
            return 0;
        }
        Function madvise = Function.getFunction(Platform.C_LIBRARY_NAME, "madvise");
        Object[] arguments = {new Pointer(from), new NativeLong(whole), DONT_NEED};
        return madvise.invokeInt(arguments) == 0 ? whole : 0;
    }

    /** {@inheritDoc} */
    @Override
    public void close() {
        memory.close();
    }
}
