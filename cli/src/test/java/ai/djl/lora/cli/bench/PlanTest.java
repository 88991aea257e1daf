/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.lora.tensor.ElementType;
import org.testng.Assert;
import org.testng.annotations.Test;

public class PlanTest {

    /** As its model card and safetensors index say, norms and biases included. */
    private static final long QWEN2_PARAMETERS = 494_032_768L;

    /** As PEFT counts the trainable parameters of rank 16 in all linear layers. */
    private static final long LORA_PARAMETERS = 8_798_208L;

    private static Plan plan(int adapters, long memory) {
        return new Plan(
                SyntheticModel.named("qwen2-0.5b"),
                ElementType.BFLOAT16,
                adapters,
                16,
                memory,
                16,
                1024);
    }

    @Test
    public void testSizesAreThoseOfTheModel() {
        Plan plan = plan(1000, 16L << 30);
        // norms and biases are left out: 0.02 % of the weights
        Assert.assertEquals((double) plan.baseBytes(), 2.0 * QWEN2_PARAMETERS, 4e5);
        Assert.assertEquals(plan.adapterBytes(), 2 * LORA_PARAMETERS);
    }

    @Test
    public void testWhatFitsStaysBelowPressure() {
        long memory = 8L << 30;
        Plan plan = plan(1000, memory);
        long used =
                plan.baseBytes()
                        + plan.keyValueBytes()
                        + Plan.PROCESS_BYTES
                        + plan.residentAdapters() * plan.adapterBytes();
        Assert.assertTrue(used <= 0.7 * memory, "used " + used);
        Assert.assertTrue(used + plan.adapterBytes() > 0.7 * memory, "room for one more");
        Assert.assertTrue(plan.fits());
        Assert.assertEquals(plan(10, memory).residentAdapters(), 10);
    }

    @Test
    public void testLeastMemoryIsEnoughAndNotMore() {
        long least = plan(1000, 1).leastMemory();
        Assert.assertTrue(plan(1000, least).fits());
        Assert.assertFalse(plan(1000, least - (1 << 20)).fits());
        Assert.assertEquals(plan(1000, 1 << 20).residentAdapters(), 0);
    }

    @Test
    public void testALimitIsTheLargerOfBytesAndOperations() {
        Plan plan = plan(1000, 16L << 30);
        double bytes = plan.leastStepSeconds(16, 25e9, 1e15);
        Assert.assertTrue(bytes > plan.leastStepSeconds(0, 25e9, 1e15), "adapters cost bytes");
        Assert.assertEquals(plan.leastStepSeconds(16, 12.5e9, 1e15), 2 * bytes, 1e-9);
        Assert.assertTrue(plan.leastStepSeconds(16, 25e9, 1e9) > 10, "operations");
    }
}
