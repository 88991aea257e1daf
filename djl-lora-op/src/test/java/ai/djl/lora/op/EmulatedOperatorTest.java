/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.Device;
import ai.djl.lora.cuda.EmulatedTorch;
import ai.djl.lora.jni.DeviceTableNative;
import ai.djl.ndarray.NDManager;
import org.testng.Assert;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.DataProvider;

/** {@link OperatorTest} on an emulated GPU, with adapters copied by the real JCuda. */
public class EmulatedOperatorTest extends OperatorTest {

    @BeforeClass
    public void load() {
        EmulatedTorch.load();
    }

    @AfterClass
    public void tablesAreFreed() {
        Assert.assertEquals(DeviceTableNative.openTables(), 0);
    }

    @DataProvider
    @Override
    public Object[][] backends() {
        return EmulatedTorch.backends();
    }

    @Override
    NDManager newManager() {
        return NDManager.newBaseManager(Device.gpu(0), "PyTorch");
    }

    /** The emulator runs a thread of the GPU at a time. */
    @Override
    int cases() {
        return 60;
    }
}
