/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.jit;

import ai.djl.engine.EngineException;
import ai.djl.lora.cuda.EmulatedGpu;
import ai.djl.lora.cuda.EmulatedTorch;
import ai.djl.lora.jni.DeviceTableNative;
import ai.djl.lora.jni.LoraLibrary;
import ai.djl.lora.tensor.ElementType;
import java.util.Arrays;
import java.util.List;
import org.testng.Assert;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.Test;

/**
 * Images that a table on an emulated GPU is given, through the driver's calls. The driver there
 * takes any bytes for an image and runs the kernels by their names, so nothing is measured.
 */
public class EmulatedImagesTest {

    private static final int INVALID_IMAGE = 200;
    private static final byte[] IMAGE = {0x7f, 'E', 'L', 'F'};

    private final TableImages images = new TableImages.OfLibrary();
    private EmulatedGpu gpu;
    private long table;

    @BeforeClass
    public void open() {
        gpu = EmulatedTorch.load();
        LoraLibrary.load();
        table =
                DeviceTableNative.create(
                        new long[] {64, 64, 32},
                        new long[] {64, 16, 16},
                        ElementType.BFLOAT16.code(),
                        0,
                        new long[] {1, 4, 16, 16});
    }

    @AfterClass(alwaysRun = true)
    public void close() {
        if (table != 0) {
            DeviceTableNative.close(table);
        }
    }

    private static byte[] image() {
        return Arrays.copyOf(IMAGE, 1000);
    }

    @Test
    public void imagesStayUntilTheTableIsClosed() {
        Assert.assertTrue(images.obstacle(table).isEmpty());
        long before = gpu.count("modules");
        images.use(table, image(), 64);
        images.use(table, image(), 32);
        images.use(table, image(), 64);
        images.drop(table, 64);
        images.drop(table, 64);
        Assert.assertEquals(gpu.count("modules"), before + 3);
        DeviceTableNative.close(table);
        table = 0;
        Assert.assertEquals(gpu.count("modules"), before);
        open();
    }

    @Test
    public void whatIsRefusedLeavesNothing() {
        long before = gpu.count("modules");
        Assert.assertThrows(IllegalArgumentException.class, () -> images.use(table, image(), 16));
        gpu.fail("cuModuleLoadDataEx", INVALID_IMAGE, 1);
        EngineException e =
                Assert.expectThrows(EngineException.class, () -> images.use(table, image(), 64));
        Assert.assertTrue(
                e.getMessage().startsWith("device_table_use_image: the image does not load on "),
                e.getMessage());
        gpu.fail("cuModuleGetFunction", INVALID_IMAGE, 1);
        e = Assert.expectThrows(EngineException.class, () -> images.use(table, image(), 64));
        Assert.assertTrue(
                e.getMessage()
                        .startsWith(
                                "device_table_use_image: kernel sgmv_decode_shrink_bf16 of the"
                                        + " image: "),
                e.getMessage());
        Assert.assertEquals(gpu.count("modules"), before);
        IllegalArgumentException refused =
                Assert.expectThrows(
                        IllegalArgumentException.class,
                        () -> images.times(table, List.of(0, 2), 1, 16));
        Assert.assertEquals(
                refused.getMessage(),
                "device_table_time_image: modules take 64 and 32 inputs, but a group shares x");
    }
}
