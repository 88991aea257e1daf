/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cuda;

import jcuda.driver.CUstream;

/**
 * A stream that somebody else made and owns, such as the one that libtorch computes on.
 *
 * <p>May be used by any number of threads.
 */
public final class ForeignStream {

    private final CudaContext context;
    private final CUstream stream;

    /**
     * Constructs a new {@code ForeignStream} instance.
     *
     * @param context the context of the stream's device
     * @param handle the stream's {@code cudaStream_t} as a number; 0 is the default stream
     */
    public ForeignStream(CudaContext context, long handle) {
        this.context = context;
        stream = Handles.stream(handle);
    }

    /**
     * Returns the event behind all that the stream was given so far, as behind the kernels that
     * read memory which is to be written again.
     *
     * @return the event
     */
    public CopyEvent record() {
        return context.events().record(stream);
    }

    /**
     * Lets what the stream is given from now on begin only when an event has happened. Nobody waits
     * for it here.
     *
     * @param event an event of another stream, such as that of a copy whose bytes are read
     */
    public void waitFor(CopyEvent event) {
        event.makeWait(stream);
    }
}
