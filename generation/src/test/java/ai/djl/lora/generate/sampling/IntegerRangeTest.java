/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

import java.util.Random;
import org.apache.lucene.util.automaton.CharacterRunAutomaton;
import org.testng.Assert;
import org.testng.annotations.Test;

public class IntegerRangeTest {

    @Test
    public void testEveryNumberAroundARange() {
        Random random = new Random(1);
        for (int round = 0; round < 300; ++round) {
            int width = 1 + random.nextInt(1 << random.nextInt(12));
            int min = random.nextInt(2400) - 1200;
            int max = min + random.nextInt(width);
            CharacterRunAutomaton range = run(min, max);
            for (int value = -1300; value < 5400; ++value) {
                Assert.assertEquals(
                        range.run(Integer.toString(value)),
                        value >= min && value <= max,
                        value + " in " + min + " to " + max);
            }
            for (String text : new String[] {"", "-", "-0", "00", "01", "-01", "1a"}) {
                Assert.assertFalse(range.run(text), text);
            }
        }
    }

    @Test
    public void testTheLimits() {
        CharacterRunAutomaton all = run(-IntegerRange.LIMIT, IntegerRange.LIMIT);
        for (long value : new long[] {0, 1, -1, IntegerRange.LIMIT, -IntegerRange.LIMIT}) {
            Assert.assertTrue(all.run(Long.toString(value)), Long.toString(value));
        }
        Assert.assertFalse(all.run(Long.toString(IntegerRange.LIMIT + 1)));
        CharacterRunAutomaton last = run(IntegerRange.LIMIT - 1, IntegerRange.LIMIT);
        Assert.assertTrue(last.run("999999999999998"));
        Assert.assertFalse(last.run("999999999999997"));
    }

    private static CharacterRunAutomaton run(long min, long max) {
        return new CharacterRunAutomaton(IntegerRange.between(min, max));
    }
}
