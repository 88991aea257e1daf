/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import org.testng.Assert;
import org.testng.annotations.Test;

public class BatchPlanTest {

    @Test
    public void neighboursOfOneSlotShareASegment() {
        BatchPlan plan = BatchPlan.ofRows(2, 2, BatchPlan.BASE, 0, 0, 0, 2);
        Assert.assertEquals(plan.segmentStarts(), new long[] {0, 2, 3, 6, 7});
        Assert.assertEquals(plan.slots(), new long[] {2, -1, 0, 2});
        Assert.assertEquals(plan.rows(), 7);
        Assert.assertFalse(plan.isBaseOnly());
    }

    @Test
    public void rowsBecomeSequences() {
        BatchPlan plan = BatchPlan.ofRows(1, BatchPlan.BASE).repeatEach(3);
        Assert.assertEquals(plan.segmentStarts(), new long[] {0, 3, 6});
        Assert.assertEquals(plan.rows(), 6);
        Assert.assertThrows(IllegalArgumentException.class, () -> plan.repeatEach(0));
    }

    @Test
    public void emptyAndBaseOnlyPlans() {
        Assert.assertEquals(BatchPlan.ofRows().rows(), 0);
        Assert.assertTrue(BatchPlan.ofRows().isBaseOnly());
        Assert.assertTrue(BatchPlan.uniform(BatchPlan.BASE, 4).isBaseOnly());
        Assert.assertEquals(BatchPlan.uniform(3, 4).segments(), 1);
    }

    @Test
    public void slotsBelowBaseAreRefused() {
        IllegalArgumentException e =
                Assert.expectThrows(IllegalArgumentException.class, () -> BatchPlan.ofRows(0, -2));
        Assert.assertTrue(e.getMessage().contains("slotOfRow[1] is -2"), e.getMessage());
    }
}
