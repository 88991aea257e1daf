/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cuda;

import ai.djl.lora.LoraBackendException;
import ai.djl.lora.LoraMemoryException;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.IntSupplier;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;

/**
 * The primary context of one GPU: the one that libtorch uses, so that addresses of its tensors are
 * of use here, and what is made here is of use to it.
 *
 * <p>May be used by any number of threads. Each call makes the context the calling thread's current
 * one and puts back the one before. Close it after everything that was made with it.
 */
public final class CudaContext implements AutoCloseable {

    private final int device;
    private final CUdevice handle = new CUdevice();
    private final CUcontext context = new CUcontext();
    private final EventPool events = new EventPool(this);
    private final AtomicBoolean closing = new AtomicBoolean();
    private final AtomicBoolean closed = new AtomicBoolean();

    private CudaContext(int device) {
        this.device = device;
        check("CUDA device " + device + " (cuDeviceGet)", JCudaDriver.cuDeviceGet(handle, device));
        check(
                "The primary context of CUDA device " + device + " (cuDevicePrimaryCtxRetain)",
                JCudaDriver.cuDevicePrimaryCtxRetain(context, handle));
    }

    /**
     * Says why GPUs cannot be used here.
     *
     * @return the reason and what to do, in one line; empty where they can
     */
    public static Optional<String> unavailable() {
        return DriverBinding.unavailable();
    }

    /**
     * Opens a device's context.
     *
     * @param device the device's number, as libtorch counts them
     * @return the context
     * @throws LoraBackendException if JCuda, the driver or the device is missing
     * @throws LoraMemoryException if the device has no memory left for a context
     */
    public static CudaContext open(int device) {
        Optional<String> reason = unavailable();
        if (reason.isPresent()) {
            throw new LoraBackendException("CUDA cannot be used: " + reason.get());
        }
        return new CudaContext(device);
    }

    /**
     * Returns which device this is.
     *
     * @return the device's number, as libtorch counts them
     */
    public int device() {
        return device;
    }

    EventPool events() {
        return events;
    }

    /**
     * Makes calls with this context as the thread's current one.
     *
     * @param what what they do, with sizes and the function's name, for the message of a failure
     * @param calls returns the driver's code
     * @throws LoraMemoryException if memory is missing
     * @throws LoraBackendException if it fails for another reason
     */
    void call(String what, IntSupplier calls) {
        check(what, tryCall(calls));
    }

    /** Makes calls with this context as the thread's current one, and returns the code. */
    int tryCall(IntSupplier calls) {
        if (closed.get()) {
            throw new IllegalStateException("The context of CUDA device " + device + " is closed");
        }
        int pushed = JCudaDriver.cuCtxPushCurrent(context);
        if (pushed != CUresult.CUDA_SUCCESS) {
            return pushed;
        }
        try {
            return calls.getAsInt();
        } finally {
            JCudaDriver.cuCtxPopCurrent(new CUcontext());
        }
    }

    static void check(String what, int result) {
        if (result == CUresult.CUDA_SUCCESS) {
            return;
        }
        String message = what + " failed: " + DriverBinding.text(result);
        throw result == CUresult.CUDA_ERROR_OUT_OF_MEMORY
                ? new LoraMemoryException(message)
                : new LoraBackendException(message);
    }

    /**
     * Waits for the events that have been recorded, and gives the context back; libtorch keeps it.
     * A second call has no effect.
     *
     * @throws LoraBackendException if work failed that nobody has waited for
     */
    @Override
    public void close() {
        if (closing.compareAndSet(false, true)) {
            try {
                events.close();
            } finally {
                closed.set(true);
                JCudaDriver.cuDevicePrimaryCtxRelease(handle);
            }
        }
    }
}
