/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

import java.util.Comparator;
import java.util.Random;
import java.util.stream.IntStream;
import org.testng.Assert;
import org.testng.annotations.Test;

public class TopSelectorTest {

    @Test
    public void testAgainstASort() {
        Random random = new Random(11);
        TopSelector selector = new TopSelector();
        for (int round = 0; round < 2000; ++round) {
            int n = 1 + random.nextInt(200);
            int offset = random.nextInt(3);
            float[] values = new float[n + offset];
            boolean ties = random.nextBoolean();
            for (int i = 0; i < values.length; ++i) {
                values[i] = ties ? random.nextInt(7) - 3 : (float) random.nextGaussian();
                if (random.nextInt(20) == 0) {
                    values[i] = random.nextBoolean() ? Float.NEGATIVE_INFINITY : -0f;
                }
            }
            int k = 1 + random.nextInt(n + 5);
            int[] expected =
                    IntStream.range(0, n)
                            .boxed()
                            // subtracting from 0 makes no -0, which compare would tell apart
                            .sorted(
                                    Comparator.comparing((Integer i) -> 0f - values[offset + i])
                                            .thenComparing(i -> i))
                            .limit(k)
                            .mapToInt(Integer::intValue)
                            .toArray();
            int selected = selector.select(values, offset, n, k);
            int[] actual = IntStream.range(0, selected).map(selector::index).toArray();
            Assert.assertEquals(actual, expected, "n " + n + ", k " + k);
        }
    }
}
