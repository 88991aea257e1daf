/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cuda;

import ai.djl.lora.LoraBackendException;
import com.sun.jna.Native;
import java.lang.reflect.Constructor;
import java.nio.ByteBuffer;
import jcuda.Pointer;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUstream;

/** Makes JCuda's objects of addresses, which are what other libraries hand over. */
final class Handles {

    private Handles() {}

    /** Returns an address on the device. */
    static CUdeviceptr device(long address) {
        return new CUdeviceptr().withByteOffset(address);
    }

    /** Returns the address of a direct buffer's position. */
    static Pointer host(ByteBuffer buffer) {
        return host(address(buffer));
    }

    static Pointer host(long address) {
        return new HostPointer(address);
    }

    static long address(ByteBuffer buffer) {
        return com.sun.jna.Pointer.nativeValue(Native.getDirectBufferPointer(buffer))
                + buffer.position();
    }

    /**
     * Returns a stream that was made elsewhere.
     *
     * @param handle its {@code cudaStream_t}; 0 is the default stream
     */
    static CUstream stream(long handle) {
        try {
            // JCuda makes streams of handles for its own constants, and offers no other way
            Constructor<CUstream> constructor = CUstream.class.getDeclaredConstructor(long.class);
            constructor.setAccessible(true);
            return constructor.newInstance(handle);
        } catch (ReflectiveOperationException | RuntimeException e) {
            throw new LoraBackendException(
                    "JCuda has no way to name a stream of another library; 12.6.0 is expected", e);
        }
    }

    private static final class HostPointer extends Pointer {

        HostPointer(long address) {
            super(address);
        }
    }
}
