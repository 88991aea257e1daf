/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.e2e;

import org.testng.SkipException;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.Test;

/**
 * {@link VerifyTest} with the models on an emulated GPU.
 *
 * <p>The demo's 4,000 positions take the emulator over a minute, so {@code cuda} computes them with
 * {@code -Ddjl.lora.emulated.demo=true} alone.
 */
public class EmulatedVerifyTest extends VerifyTest {

    private static final boolean DEMO = Boolean.getBoolean("djl.lora.emulated.demo");

    @BeforeClass
    public void load() {
        EmulatedGpuLibraries.load();
    }

    @Override
    String[][] backendsWithTypes() {
        return new String[][] {{"pytorch", "float32"}, {"cuda", "bfloat16"}};
    }

    @Override
    String device() {
        return "gpu";
    }

    @Test(dataProvider = "goldens")
    @Override
    public void testGolden(String golden, String backend, String type) {
        if (golden.startsWith("demo") && "cuda".equals(backend) && !DEMO) {
            throw new SkipException("-Ddjl.lora.emulated.demo=true has the demo computed");
        }
        super.testGolden(golden, backend, type);
    }

    @Test(dependsOnMethods = "testGolden")
    @Override
    public void testDemoInBfloat16() {
        if (!DEMO) {
            throw new SkipException("-Ddjl.lora.emulated.demo=true has the demo computed");
        }
        super.testDemoInBfloat16();
    }
}
