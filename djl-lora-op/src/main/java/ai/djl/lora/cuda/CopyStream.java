/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cuda;

import ai.djl.lora.LoraBackendException;
import ai.djl.lora.LoraMemoryException;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.IntSupplier;
import java.util.function.ToIntFunction;
import jcuda.driver.CUresult;
import jcuda.driver.CUstream;
import jcuda.driver.CUstream_flags;
import jcuda.driver.JCudaDriver;

/**
 * A stream of its own for copies, which go on beside what other streams do, libtorch's among them.
 *
 * <p>Copies begin in the order in which they were given. Each method that adds work returns at
 * once, with the event that tells when all that was given so far is done: until then the host's
 * memory must not be changed or given back, and nobody may read what is written unless it waits for
 * the event. Memory that running kernels may still read is written again behind an event of their
 * stream: {@code copies.waitFor(computing.record())}.
 *
 * <p>May be used by any number of threads.
 */
public final class CopyStream implements AutoCloseable {

    private final CudaContext context;
    private final CUstream stream = new CUstream();
    private final AtomicBoolean closed = new AtomicBoolean();

    /**
     * Constructs a new {@code CopyStream} instance.
     *
     * @param context the device's context
     * @throws LoraBackendException if the driver makes no stream
     */
    public CopyStream(CudaContext context) {
        this.context = context;
        context.call(
                "Making a stream (cuStreamCreate)",
                () -> JCudaDriver.cuStreamCreate(stream, CUstream_flags.CU_STREAM_NON_BLOCKING));
    }

    CudaContext context() {
        return context;
    }

    /**
     * Copies bytes from the host to the device.
     *
     * @param copies from where and to where; none at all are none to do
     * @return the event behind the last
     * @throws LoraBackendException if the driver refuses one; those before it are done all the same
     */
    public CopyEvent copyToDevice(List<DeviceCopy> copies) {
        return each(
                "to",
                copies,
                copy ->
                        JCudaDriver.cuMemcpyHtoDAsync(
                                Handles.device(copy.devicePointer()),
                                Handles.host(copy.host()),
                                copy.bytes(),
                                stream));
    }

    /**
     * Copies bytes from the device to the host.
     *
     * @param copies from where and to where; none at all are none to do
     * @return the event behind the last
     * @throws LoraBackendException if the driver refuses one; those before it are done all the same
     */
    public CopyEvent copyToHost(List<DeviceCopy> copies) {
        return each(
                "from",
                copies,
                copy ->
                        JCudaDriver.cuMemcpyDtoHAsync(
                                Handles.host(copy.host()),
                                Handles.device(copy.devicePointer()),
                                copy.bytes(),
                                stream));
    }

    private CopyEvent each(
            String direction, List<DeviceCopy> copies, ToIntFunction<DeviceCopy> start) {
        List<DeviceCopy> filled = copies.stream().filter(copy -> copy.bytes() > 0).toList();
        long bytes = filled.stream().mapToLong(DeviceCopy::bytes).sum();
        return queue(
                "Copying " + bytes + " bytes " + direction + " CUDA device " + context.device(),
                () -> {
                    int result = CUresult.CUDA_SUCCESS;
                    for (int i = 0; i < filled.size() && result == CUresult.CUDA_SUCCESS; ++i) {
                        result = start.applyAsInt(filled.get(i));
                    }
                    return result;
                });
    }

    /**
     * Copies bytes to another place on the device.
     *
     * @param from the address of the first byte to copy
     * @param to the address of the first byte to write
     * @param bytes how many; the two places must not overlap
     * @return the event behind the copy
     * @throws LoraBackendException if the driver refuses it
     */
    public CopyEvent copyOnDevice(long from, long to, long bytes) {
        if (bytes < 0 || Math.abs(from - to) < bytes) {
            throw new IllegalArgumentException(
                    "A copy of "
                            + bytes
                            + " bytes takes places that do not overlap, found a distance of "
                            + Math.abs(from - to));
        }
        return queue(
                "Copying " + bytes + " bytes on CUDA device " + context.device(),
                () ->
                        bytes == 0
                                ? CUresult.CUDA_SUCCESS
                                : JCudaDriver.cuMemcpyDtoDAsync(
                                        Handles.device(to), Handles.device(from), bytes, stream));
    }

    /**
     * Returns the event behind all that the stream was given so far.
     *
     * @return the event
     */
    public CopyEvent record() {
        checkOpen();
        return context.events().record(stream);
    }

    /**
     * Lets what is given from now on begin only when an event has happened. Nobody waits for it
     * here.
     *
     * @param event an event of another stream, also of another device's
     */
    public void waitFor(CopyEvent event) {
        checkOpen();
        event.makeWait(stream);
    }

    private CopyEvent queue(String what, IntSupplier calls) {
        checkOpen();
        context.call(what, calls);
        return context.events().record(stream);
    }

    private void checkOpen() {
        if (closed.get()) {
            throw new IllegalStateException("The copy stream is closed");
        }
    }

    /**
     * Waits for the copies that were given, and ends the stream. A second call has no effect.
     *
     * @throws LoraMemoryException if a copy failed for want of memory
     * @throws LoraBackendException if a copy failed
     */
    @Override
    public void close() {
        if (closed.compareAndSet(false, true)) {
            try {
                context.events().record(stream).await();
            } finally {
                context.call(
                        "Ending a stream (cuStreamDestroy)",
                        () -> JCudaDriver.cuStreamDestroy(stream));
            }
        }
    }
}
