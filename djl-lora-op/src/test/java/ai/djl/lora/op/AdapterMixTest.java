/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import java.util.List;
import org.testng.Assert;
import org.testng.annotations.Test;

public class AdapterMixTest {

    @Test
    public void plansHoldStacks() {
        AdapterMix stack = AdapterMix.stack(new int[] {2, 0}, new float[] {0.5f, -1});
        BatchPlan plan =
                BatchPlan.ofMixes(
                        List.of(
                                AdapterMix.of(1),
                                stack,
                                AdapterMix.stack(new int[] {2, 0}, new float[] {0.5f, -1}),
                                AdapterMix.BASE));
        Assert.assertTrue(plan.hasStacks());
        Assert.assertEquals(plan.segmentStarts(), new long[] {0, 1, 3, 4});
        Assert.assertEquals(plan.entryStarts(), new long[] {0, 1, 3, 3});
        Assert.assertEquals(plan.entrySlots(), new long[] {1, 2, 0});
        Assert.assertEquals(plan.entryWeights(), new float[] {1, 0.5f, -1});
        Assert.assertThrows(IllegalStateException.class, plan::slots);
    }

    @Test
    public void oneAdapterAtItsOwnStrengthIsNoStack() {
        AdapterMix one = AdapterMix.stack(new int[] {3}, new float[] {1});
        Assert.assertEquals(one, AdapterMix.of(3));
        Assert.assertTrue(one.isPlain());
        Assert.assertFalse(AdapterMix.stack(new int[] {3}, new float[] {2}).isPlain());
        Assert.assertSame(AdapterMix.of(BatchPlan.BASE), AdapterMix.BASE);
    }

    @Test
    public void wrongStacksAreRefused() {
        refused(new int[] {0, 1}, new float[] {1});
        refused(new int[] {-1}, new float[] {1});
        refused(new int[] {0}, new float[] {Float.NaN});
        refused(new int[] {4, 4}, new float[] {1, 1});
    }

    private static void refused(int[] slots, float[] weights) {
        Assert.assertThrows(IllegalArgumentException.class, () -> AdapterMix.stack(slots, weights));
    }
}
