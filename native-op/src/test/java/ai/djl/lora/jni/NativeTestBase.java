/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.jni;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import ai.djl.pytorch.engine.PtEngine;
import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.pytorch.engine.PtNDManager;
import java.io.IOException;
import java.io.InputStream;
import java.util.Properties;
import org.testng.Assert;
import org.testng.SkipException;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.BeforeMethod;

/** Loads the library, and finds what a test leaks. */
abstract class NativeTestBase {

    PtNDManager manager;
    private long handles;
    private long tables;
    private long adapters;

    /** Skips tests where the library was not built; where it was, failing to load is a failure. */
    static void requireLibrary() {
        if (bundled().stringPropertyNames().stream().noneMatch(n -> n.startsWith("sha256."))) {
            throw new SkipException("the native library was not built on this machine");
        }
    }

    static Properties bundled() {
        Properties properties = new Properties();
        try (InputStream in =
                NativeTestBase.class.getResourceAsStream("/native/lib/djl_lora.properties")) {
            properties.load(in);
        } catch (IOException e) {
            throw new AssertionError(e);
        }
        return properties;
    }

    @BeforeClass
    public void load() {
        requireLibrary();
        LoraLibrary.load();
    }

    @BeforeMethod
    public void open() {
        manager = (PtNDManager) PtEngine.getEngine(PtEngine.ENGINE_NAME).newBaseManager();
        handles = LoraNative.liveHandles();
        tables = LoraNative.openTables();
        adapters = LoraNative.liveAdapters();
    }

    @AfterMethod(alwaysRun = true)
    public void close() {
        if (manager != null) {
            manager.close();
            Assert.assertEquals(LoraNative.liveHandles(), handles, "handles that are left");
            Assert.assertEquals(LoraNative.openTables(), tables, "tables that are left");
            Assert.assertEquals(LoraNative.liveAdapters(), adapters, "adapters that are left");
        }
    }

    static long handle(NDArray array) {
        return array == null ? 0 : ((PtNDArray) array).getHandle();
    }

    PtNDArray array(long handle) {
        return new PtNDArray(manager, handle);
    }

    NDArray random(long... shape) {
        return manager.randomNormal(new Shape(shape));
    }

    PtNDArray toType(NDArray array, int type) {
        return array(LoraNative.toType(handle(array), type));
    }

    /** The values as float32, of whatever type the array is. */
    NDArray widen(NDArray array) {
        return toType(array, LoraNative.FLOAT32);
    }

    /** The values after a round trip through a type. */
    NDArray rounded(NDArray array, int type) {
        return widen(toType(array, type));
    }

    static void assertClose(NDArray actual, NDArray expected, double relative) {
        Assert.assertEquals(actual.getShape(), expected.getShape());
        float difference = actual.sub(expected).abs().max().getFloat();
        float limit = (float) (relative * expected.abs().max().getFloat());
        Assert.assertTrue(difference <= limit, difference + " is above " + limit);
    }

    static void assertRefused(String message, Assert.ThrowingRunnable runnable) {
        IllegalArgumentException refused =
                Assert.expectThrows(IllegalArgumentException.class, runnable);
        Assert.assertTrue(refused.getMessage().contains(message), refused.getMessage());
    }
}
