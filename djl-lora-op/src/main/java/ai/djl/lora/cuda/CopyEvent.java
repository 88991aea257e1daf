/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cuda;

import ai.djl.lora.LoraBackendException;
import jcuda.driver.CUevent;
import jcuda.driver.CUresult;
import jcuda.driver.CUstream;
import jcuda.driver.JCudaDriver;

/**
 * A point in a stream's work, which has happened when all that the stream was given before it is
 * done. It need not be closed, and may be asked by any number of threads for as long as its context
 * is open; what has happened stays so.
 */
public final class CopyEvent {

    private final CudaContext context;
    private final EventPool pool;

    /* Guarded by this object. The handle is given back when nobody waits for it any more. */
    private CUevent handle;
    private boolean done;
    private int result;
    private int waiting;

    CopyEvent(CudaContext context, EventPool pool, CUevent handle) {
        this.context = context;
        this.pool = pool;
        this.handle = handle;
    }

    /**
     * Returns whether it has happened, at once.
     *
     * @return whether all work before it is done
     * @throws LoraBackendException if that work failed
     */
    public synchronized boolean isDone() {
        if (!done) {
            CUevent asked = handle;
            int found = context.tryCall(() -> JCudaDriver.cuEventQuery(asked));
            if (found == CUresult.CUDA_ERROR_NOT_READY) {
                return false;
            }
            finish(found);
        }
        check();
        return true;
    }

    /**
     * Waits until it has happened: for the work before it in its stream, and for no other stream.
     * The thread sleeps.
     *
     * @throws LoraBackendException if that work failed
     */
    public void await() {
        CUevent asked;
        synchronized (this) {
            if (done) {
                check();
                return;
            }
            asked = handle;
            ++waiting;
        }
        int found = CUresult.CUDA_ERROR_UNKNOWN;
        try {
            found = context.tryCall(() -> JCudaDriver.cuEventSynchronize(asked));
        } finally {
            synchronized (this) {
                --waiting;
                finish(found);
            }
        }
        check();
    }

    /** Lets a stream go on only when this has happened. */
    synchronized void makeWait(CUstream stream) {
        if (!done) {
            CUevent awaited = handle;
            context.call(
                    "Waiting for an event in a stream (cuStreamWaitEvent)",
                    () -> JCudaDriver.cuStreamWaitEvent(stream, awaited, 0));
        }
    }

    private synchronized void finish(int found) {
        if (!done) {
            done = true;
            result = found;
        }
        if (waiting == 0 && handle != null) {
            pool.giveBack(handle);
            handle = null;
        }
    }

    private synchronized void check() {
        CudaContext.check("Work on CUDA device " + context.device(), result);
    }
}
