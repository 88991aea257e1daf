/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import org.testng.Assert;
import org.testng.annotations.Test;

public class ComparisonTest {

    @Test
    public void testNumbers() {
        Comparison comparison = new Comparison();
        comparison.add(new float[] {0, 2.5f, 4, 2}, new float[] {0, 2, 4, 2}, 2);
        comparison.add(new float[] {1, 0}, new float[] {0, 1}, 2);
        Assert.assertEquals(comparison.largestAbsolute(), 1.0);
        // |0 - 1| / 1; the difference at the golden 0 counts only as an absolute one
        Assert.assertEquals(comparison.largestRelative(), 1.0);
        Assert.assertEquals(comparison.positions(), 3);
        Assert.assertEquals(comparison.sameTop(), 2);
        Assert.assertEquals(comparison.sameTopShare(), 2.0 / 3);
        // Errors 0, 0.5, 0, 0, 1, 1 over six values
        Assert.assertEquals(comparison.rmsError(), Math.sqrt(2.25 / 6), 1e-12);
        // Golden 0, 2, 4, 2, 0, 1: mean 1.5, mean square 25 / 6
        Assert.assertEquals(
                comparison.relativeRmsError(),
                Math.sqrt(2.25 / 6) / Math.sqrt(25.0 / 6 - 2.25),
                1e-12);
    }

    @Test
    public void testNotFinite() {
        Comparison comparison = new Comparison();
        comparison.add(new float[] {Float.NaN, 1}, new float[] {0, 1}, 2);
        Assert.assertEquals(comparison.largestAbsolute(), Double.POSITIVE_INFINITY);
        Assert.assertEquals(comparison.rmsError(), Double.POSITIVE_INFINITY);
    }

    @Test
    public void testEqual() {
        Comparison comparison = new Comparison();
        comparison.add(new float[] {3, 3}, new float[] {3, 3}, 2);
        Assert.assertEquals(comparison.largestAbsolute(), 0.0);
        Assert.assertEquals(comparison.relativeRmsError(), 0.0);
        Assert.assertEquals(comparison.sameTopShare(), 1.0);
    }
}
