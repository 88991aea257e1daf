/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.jni;

import ai.djl.engine.EngineException;
import org.testng.TestNG;

/** What a JVM of its own does for {@link LoraLibraryIT}: tries to load, and says how it went. */
public final class LibraryProbe {

    private LibraryProbe() {}

    /**
     * Loads twice and prints the outcomes, or runs the native tests.
     *
     * @param args nothing, or {@code tests}
     */
    public static void main(String[] args) {
        if (args.length > 0) {
            TestNG tests = new TestNG(false);
            tests.setTestClasses(
                    new Class<?>[] {
                        LoraNativeTensorTest.class,
                        LoraNativeLayersTest.class,
                        LoraNativeSgmvTest.class
                    });
            tests.setUseDefaultListeners(false);
            tests.run();
            System.out.println("tests: status " + tests.getStatus());
            return;
        }
        System.out.println("first: " + attempt());
        System.out.println("second: " + attempt());
        System.out.println("available: " + LoraLibrary.isAvailable());
        System.out.println("reason: " + LoraLibrary.unavailableReason());
    }

    private static String attempt() {
        try {
            LoraLibrary.load();
            return "loaded " + LoraNative.version();
        } catch (EngineException e) {
            return "failed " + e.getMessage();
        }
    }
}
