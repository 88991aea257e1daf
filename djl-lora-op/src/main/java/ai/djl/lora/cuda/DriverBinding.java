/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cuda;

import java.util.Optional;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** JCuda's binding of the driver: loaded, and the driver started, once for the process. */
final class DriverBinding {

    private static final Logger logger = LoggerFactory.getLogger(DriverBinding.class);

    private static final String BINDING = "jcuda.driver.JCudaDriver";

    /** Why there is none; null where there is. */
    private static final String REASON = start();

    private DriverBinding() {}

    /** Returns why the driver cannot be used; empty where it can. */
    static Optional<String> unavailable() {
        return Optional.ofNullable(REASON);
    }

    private static String start() {
        try {
            Class.forName(BINDING, true, DriverBinding.class.getClassLoader());
        } catch (ClassNotFoundException e) {
            return "JCuda is not on the class path; add org.jcuda:jcuda and"
                    + " org.jcuda:jcuda-natives 12.6.0";
        } catch (LinkageError e) {
            logger.debug("JCuda's library does not load", e);
            return "JCuda's library does not load: there is no NVIDIA driver (libcuda.so.1), or"
                    + " org.jcuda:jcuda-natives of this platform is not on the class path";
        }
        int result = JCudaDriver.cuInit(0);
        return result == CUresult.CUDA_SUCCESS ? null : "cuInit failed: " + text(result);
    }

    /** Returns the driver's words for a code, and its name. */
    static String text(int result) {
        String[] words = {null};
        int told = JCudaDriver.cuGetErrorString(result, words);
        String name = CUresult.stringFor(result);
        return told == CUresult.CUDA_SUCCESS && words[0] != null
                ? words[0] + " (" + name + ')'
                : name;
    }
}
