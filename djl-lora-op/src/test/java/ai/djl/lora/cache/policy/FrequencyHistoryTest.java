/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import java.util.Set;
import org.testng.Assert;
import org.testng.annotations.Test;

public class FrequencyHistoryTest {

    @Test
    public void testForgetsWhatCountsLeast() {
        Set<String> residents = Set.of("resident");
        FrequencyHistory history = new FrequencyHistory(100, residents::contains, 64, 1e6);
        history.record("resident");
        for (int i = 0; i < 49; ++i) {
            history.record("often-" + i);
            history.record("often-" + i);
        }
        for (int i = 0; i < 1000; ++i) {
            history.record("once-" + i);
            Assert.assertTrue(history.size() <= 101, history.size() + " after " + i);
        }
        Assert.assertEquals(history.last("resident"), 1);
        for (int i = 0; i < 49; ++i) {
            Assert.assertTrue(history.last("often-" + i) > 0, "often-" + i);
        }
        Assert.assertEquals(history.last("once-0"), 0);
        Assert.assertEquals(history.rank("once-0", 1), Double.NEGATIVE_INFINITY);
        Assert.assertTrue(history.last("once-999") > 0);
    }

    @Test
    public void testManyResidentsAreAllKept() {
        FrequencyHistory history = new FrequencyHistory(10, id -> true, 64);
        for (int i = 0; i < 1000; ++i) {
            history.record("adapter-" + i);
        }
        Assert.assertEquals(history.size(), 1000);
    }

    /** The order over a short horizon goes with recency, over a long one with frequency. */
    @Test
    public void testHorizons() {
        FrequencyHistory history = new FrequencyHistory(100, id -> false, 4, 1e6);
        history.record("before");
        history.record("before");
        for (int i = 0; i < 10; ++i) {
            history.record("other");
        }
        Assert.assertEquals(history.record("now"), new double[] {0, 0}, "never asked for before");
        Assert.assertTrue(history.rank("now", 0) > history.rank("before", 0));
        Assert.assertTrue(history.rank("now", 1) < history.rank("before", 1));
        // 12 and 11 requests back, over a horizon of 4
        Assert.assertEquals(history.now(), 13);
        Assert.assertEquals(
                history.rank("before", 0) - history.now() / 4.0,
                Math.log(Math.exp(-12 / 4.0) + Math.exp(-11 / 4.0)),
                1e-12);
    }
}
