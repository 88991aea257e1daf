/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import org.testng.Assert;
import org.testng.annotations.Test;

public class HistoryTest {

    @Test
    public void testCountsAgainstAMap() {
        Random random = new Random(3);
        for (int range : new int[] {1, 10, 1000, Integer.MAX_VALUE}) {
            int[] prompt = random.ints(300, 0, range).toArray();
            Map<Integer, Integer> expected = new HashMap<>();
            for (int token : prompt) {
                expected.put(token, 0);
            }
            History history = new History(prompt);
            Assert.assertEquals(counts(history), expected);
            for (int i = 1; i <= 500; ++i) {
                int token = i % 3 == 0 ? prompt[i % prompt.length] : random.nextInt(range);
                expected.merge(token, 1, Integer::sum);
                history.add(token);
                Assert.assertEquals(history.generated(), i);
            }
            Assert.assertEquals(counts(history), expected);
        }
    }

    private static Map<Integer, Integer> counts(History history) {
        Map<Integer, Integer> counts = new HashMap<>();
        for (int i = 0; i < history.distinct(); ++i) {
            Assert.assertNull(counts.put(history.token(i), history.count(i)), "listed twice");
        }
        return counts;
    }
}
