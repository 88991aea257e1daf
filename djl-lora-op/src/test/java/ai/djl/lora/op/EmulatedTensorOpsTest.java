/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.Device;
import ai.djl.lora.cuda.EmulatedTorch;
import ai.djl.ndarray.NDManager;
import java.util.Optional;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.DataProvider;

/** {@link TensorOpsTest} on an emulated GPU. */
public class EmulatedTensorOpsTest extends TensorOpsTest {

    @BeforeClass
    public void load() {
        EmulatedTorch.load();
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

    @Override
    Optional<String> refusalOfEightBits(TensorOps ops) {
        return Optional.of(
                "Keys and values in 8 bits are attended to on the CPU alone; the model is on"
                        + " gpu(0)");
    }
}
