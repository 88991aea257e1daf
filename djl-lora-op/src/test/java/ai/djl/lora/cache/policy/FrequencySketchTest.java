/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import java.util.HashMap;
import java.util.Map;
import java.util.SplittableRandom;
import org.testng.Assert;
import org.testng.annotations.Test;

public class FrequencySketchTest {

    @Test
    public void testCountsAreKeptWhenItGrows() {
        FrequencySketch sketch = new FrequencySketch();
        sketch.ensure(1000);
        Map<String, Integer> counts = new HashMap<>();
        SplittableRandom random = new SplittableRandom(1);
        for (int i = 0; i < 3000; ++i) {
            String id = "adapter-" + random.nextInt(700);
            counts.merge(id, 1, Integer::sum);
            sketch.record(id);
        }
        for (int size : new int[] {1000, 2000, 20_000}) {
            sketch.ensure(size);
            int wrong = 0;
            for (Map.Entry<String, Integer> entry : counts.entrySet()) {
                int frequency = sketch.frequency(entry.getKey());
                int exact = Math.min(15, entry.getValue());
                Assert.assertTrue(frequency >= exact, entry + " counted " + frequency);
                wrong += frequency == exact ? 0 : 1;
            }
            // All four counters shared with more frequent ones: about (700 / 8192)^4 of the ids.
            Assert.assertTrue(wrong <= 1, wrong + " counted too often");
        }
    }

    @Test
    public void testHalves() {
        FrequencySketch sketch = new FrequencySketch();
        sketch.ensure(3);
        for (int i = 0; i < 29; ++i) {
            sketch.record("a");
        }
        Assert.assertEquals(sketch.frequency("a"), 15);
        Assert.assertEquals(sketch.frequency("b"), 0);
        sketch.record("b");
        Assert.assertEquals(sketch.frequency("a"), 7);
        Assert.assertEquals(sketch.frequency("b"), 0);
    }
}
