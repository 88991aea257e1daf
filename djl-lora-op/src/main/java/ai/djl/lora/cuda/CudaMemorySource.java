/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cuda;

import ai.djl.lora.LoraException;
import ai.djl.lora.memory.MemoryReading;
import ai.djl.lora.memory.MemorySource;
import java.io.IOException;
import jcuda.driver.JCudaDriver;

/**
 * The memory of a device, as its driver tells: with what every process, and libtorch's cache of
 * freed memory, takes of it.
 */
public final class CudaMemorySource implements MemorySource {

    private final CudaContext context;

    /**
     * Constructs a new {@code CudaMemorySource} instance.
     *
     * @param context the device's context, open for as long as this is read
     */
    public CudaMemorySource(CudaContext context) {
        this.context = context;
    }

    /** {@inheritDoc} */
    @Override
    public MemoryReading read() throws IOException {
        long[] free = {0};
        long[] total = {0};
        try {
            context.call(
                    "Reading the memory of CUDA device " + context.device() + " (cuMemGetInfo)",
                    () -> JCudaDriver.cuMemGetInfo(free, total));
        } catch (LoraException e) {
            throw new IOException(e.getMessage(), e);
        }
        return new MemoryReading(
                total[0] - free[0], 0, total[0], "CUDA device " + context.device());
    }
}
