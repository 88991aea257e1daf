/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.Device;
import ai.djl.lora.LoraBackendException;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraException;
import ai.djl.lora.cuda.CudaContext;
import ai.djl.lora.cuda.CudaMemorySource;
import ai.djl.lora.cuda.PinnedArena;
import ai.djl.lora.memory.Arena;
import ai.djl.lora.memory.HostArena;
import ai.djl.lora.memory.MemorySource;
import java.nio.ByteBuffer;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What a store asks of the driver of a GPU; nothing for a model on the CPU. */
final class GpuMemory implements AutoCloseable {

    private static final Logger logger = LoggerFactory.getLogger(GpuMemory.class);

    private final HostPinning pinning;

    /** Null where no GPU is used. */
    private final CudaContext context;

    private final MemorySource source;

    private GpuMemory(HostPinning pinning, CudaContext context, MemorySource source) {
        this.pinning = pinning;
        this.context = context;
        this.source = source;
    }

    /**
     * Opens the driver where the model or the options need it. What a model on a GPU lacks without
     * it is told in one line.
     *
     * @param device the device that the model lies on
     * @param options says whether the host's memory is pinned, and which memory is watched
     * @throws LoraConfigurationException if memory must be pinned and there is no driver
     */
    static GpuMemory open(Device device, StoreOptions options) {
        boolean must = options.isHostEnabled() && options.getHostPinning() == HostPinning.TRUE;
        MemorySource given = options.getDeviceMemorySource().orElse(null);
        if (!device.isGpu() && !must) {
            return new GpuMemory(HostPinning.FALSE, null, given);
        }
        try {
            CudaContext context = CudaContext.open(device.isGpu() ? device.getDeviceId() : 0);
            boolean watches = given == null && device.isGpu();
            boolean auto = options.getHost().bytes().isPresent();
            HostPinning pinning = options.getHostPinning();
            return new GpuMemory(
                    pinning == HostPinning.AUTO && !auto ? HostPinning.FALSE : pinning,
                    context,
                    watches ? new CudaMemorySource(context) : given);
        } catch (LoraBackendException e) {
            if (must) {
                throw new LoraConfigurationException(
                        "host.pinned is true, but " + e.getMessage(), e);
            }
            logger.warn(
                    "Memory of the host is not pinned, and that of {} is not watched: {}",
                    device,
                    e.getMessage());
            return new GpuMemory(HostPinning.FALSE, null, given);
        }
    }

    /** Returns the memory that the device tier lies in; empty where that is the host's. */
    Optional<MemorySource> source() {
        return Optional.ofNullable(source);
    }

    /**
     * Takes memory for the host tier, pinned where that is wanted.
     *
     * @param bytes the size in bytes
     * @throws ai.djl.lora.LoraMemoryException if the system does not give it
     */
    Arena<ByteBuffer> hostArena(long bytes) {
        if (pinning == HostPinning.FALSE) {
            return new HostArena(bytes);
        }
        try {
            return new PinnedArena(context, bytes);
        } catch (LoraException e) {
            if (pinning == HostPinning.TRUE) {
                throw e;
            }
            logger.warn("The host tier's memory is not pinned: {}", e.getMessage());
            return new HostArena(bytes);
        }
    }

    /** Ends what was opened, after the memory that was taken through it. */
    @Override
    public void close() {
        if (context != null) {
            context.close();
        }
    }
}
