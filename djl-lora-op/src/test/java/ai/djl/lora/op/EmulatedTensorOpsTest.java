/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.Device;
import ai.djl.lora.cuda.EmulatedTorch;
import ai.djl.ndarray.NDManager;
import org.testng.annotations.BeforeClass;

/** {@link TensorOpsTest} on an emulated GPU. */
public class EmulatedTensorOpsTest extends TensorOpsTest {

    @BeforeClass
    public void load() {
        EmulatedTorch.load();
    }

    @Override
    public Object[][] backends() {
        return EmulatedTorch.backends();
    }

    @Override
    NDManager newManager() {
        return NDManager.newBaseManager(Device.gpu(0), "PyTorch");
    }
}
