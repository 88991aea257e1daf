/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.ndarray.NDManager;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class AdapterExtrasTest {

    @DataProvider
    public Object[][] prompts() {
        return new Object[][] {
            {new int[] {7, 11, 7}, 0},
            {new int[] {1, 7, 11, 7, 2}, 1},
            {new int[] {7, 11, 7, 3, 7, 11, 7}, 4},
            // overlapping occurrences count, as in PEFT
            {new int[] {7, 11, 7, 11, 7}, 2},
            {new int[] {7, 11}, -1},
            {new int[] {7, 11, 3, 7, 11}, -1},
            {new int[] {}, -1},
        };
    }

    @Test(dataProvider = "prompts")
    public void theLastInvocationCounts(int[] prompt, int from) {
        try (AdapterExtras extras =
                AdapterExtras.builder(NDManager.newBaseManager("PyTorch"))
                        .optInvocationTokens(7, 11, 7)
                        .build()) {
            Assert.assertEquals(extras.activeFrom(prompt), from);
            Assert.assertTrue(extras.actsOnSequences());
            Assert.assertEquals(extras.virtualTokens(), 0);
        }
    }

    @Test
    public void withoutInvocationTokensTheAdapterAlwaysActs() {
        try (AdapterExtras extras =
                AdapterExtras.builder(NDManager.newBaseManager("PyTorch")).build()) {
            Assert.assertEquals(extras.activeFrom(1, 2), 0);
            Assert.assertTrue(extras.isEmpty());
        }
    }

    @Test
    public void replacedRowsAscend() {
        AdapterExtras.ReplacedRows rows = new AdapterExtras.ReplacedRows(new int[] {3, 9}, null);
        Assert.assertEquals(rows.find(9), 1);
        Assert.assertTrue(rows.find(4) < 0);
        for (int[] wrong : new int[][] {{3, 3}, {9, 3}}) {
            Assert.assertThrows(
                    IllegalArgumentException.class,
                    () -> new AdapterExtras.ReplacedRows(wrong, null));
        }
    }
}
