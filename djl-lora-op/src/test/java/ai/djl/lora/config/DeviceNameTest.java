/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.config;

import ai.djl.Device;
import ai.djl.lora.LoraConfigurationException;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class DeviceNameTest {

    @Test
    public void namesAreRead() {
        Assert.assertEquals(DeviceName.parse("cpu"), Device.cpu());
        Assert.assertEquals(DeviceName.parse("gpu"), Device.gpu(0));
        Assert.assertEquals(DeviceName.parse("gpu:3"), Device.gpu(3));
        Assert.assertEquals(DeviceName.checked("gpu:0"), "gpu:0");
    }

    @DataProvider
    public Object[] others() {
        return new Object[] {"", "cuda", "gpu:", "gpu:-1", "gpu:1000", "cpu:0", "GPU"};
    }

    @Test(dataProvider = "others")
    public void othersAreRefused(String name) {
        LoraConfigurationException e =
                Assert.expectThrows(
                        LoraConfigurationException.class, () -> DeviceName.checked(name));
        Assert.assertEquals(
                e.getMessage(),
                "device is \""
                        + name
                        + "\"; it must be cpu, gpu or gpu:N with the GPU's number from 0");
    }
}
