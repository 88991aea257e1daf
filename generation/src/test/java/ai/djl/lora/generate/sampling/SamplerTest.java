/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

import ai.djl.lora.LoraBackendException;
import java.util.Arrays;
import java.util.Random;
import java.util.Set;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class SamplerTest {

    private static final int DRAWS = 100_000;

    @Test
    public void testGreedyTakesTheLowestIdOfATie() {
        float[] logits = {9, 9, -1, 3, 3, 2, 3};
        Sampler sampler = sampler(SamplingParameters.greedy(1));
        // The row begins behind two logits of another one.
        Assert.assertEquals(token(sampler, logits, 2, 5), 1);
        Assert.assertEquals(token(sampler, new float[] {-0f, 0f}, 0, 2), 0);
    }

    private static Sampler sampler(SamplingParameters parameters) {
        return new Sampler(parameters, Set.of(), null, new SamplingWorkspace());
    }

    private static int token(Sampler sampler, float[] logits, int offset, int vocabSize) {
        return sampler.sample(logits, offset, vocabSize, new History(new int[0])).token();
    }

    @DataProvider
    public Object[][] distributions() {
        // Critical values of chi-square at p = 0.001, for the degrees of freedom of what is left.
        return new Object[][] {
            {1.0, 0, 1.0, 10, 27.88},
            {0.7, 0, 1.0, 10, 27.88},
            {2.5, 0, 1.0, 10, 27.88},
            {1.0, 4, 1.0, 4, 16.27},
            {1.0, 0, 0.8, -1, 27.88},
            {1.3, 6, 0.7, -1, 20.52},
        };
    }

    @Test(dataProvider = "distributions")
    public void testDrawsFollowTheSoftmax(
            double temperature, int topK, double topP, int support, double critical) {
        float[] logits = {0.3f, -1.2f, 2.1f, 1.4f, 0f, -0.4f, 1.9f, 0.8f, -2f, 1.1f};
        double[] expected = reference(logits, temperature, topK, topP);
        if (support > 0) {
            Assert.assertEquals(Arrays.stream(expected).filter(p -> p > 0).count(), support);
        }
        Sampler sampler = sampler(SamplingParameters.of(temperature, topK, topP, 20_240_607L, 1));
        long[] counts = new long[logits.length];
        for (int i = 0; i < DRAWS; ++i) {
            ++counts[token(sampler, logits, 0, logits.length)];
        }
        double chiSquare = 0;
        for (int i = 0; i < counts.length; ++i) {
            if (expected[i] == 0) {
                Assert.assertEquals(counts[i], 0, "token " + i + " was ruled out");
            } else {
                double difference = counts[i] - DRAWS * expected[i];
                chiSquare += difference * difference / (DRAWS * expected[i]);
            }
        }
        Assert.assertTrue(chiSquare < critical, "chi-square is " + chiSquare);
    }

    /** The definition, computed the slow way: repeated search for the greatest. */
    private static double[] reference(float[] logits, double temperature, int topK, double topP) {
        int n = logits.length;
        double[] weights = new double[n];
        for (int i = 0; i < n; ++i) {
            weights[i] = Math.exp(logits[i] / temperature);
        }
        double[] kept = new double[n];
        double[] left = weights.clone();
        for (int k = 0; k < (topK == 0 ? n : topK); ++k) {
            move(left, kept);
        }
        double total = Arrays.stream(kept).sum();
        double[] nucleus = new double[n];
        while (Arrays.stream(nucleus).sum() < topP * total && Arrays.stream(kept).sum() > 0) {
            move(kept, nucleus);
        }
        double sum = Arrays.stream(nucleus).sum();
        return Arrays.stream(nucleus).map(weight -> weight / sum).toArray();
    }

    private static void move(double[] from, double[] to) {
        int best = 0;
        for (int i = 1; i < from.length; ++i) {
            if (from[i] > from[best]) {
                best = i;
            }
        }
        to[best] = from[best];
        from[best] = 0;
    }

    @Test
    public void testTopKTakesTheLowestIdsOfATie() {
        float[] logits = {-1, -1, -1, -1};
        Sampler sampler = sampler(SamplingParameters.of(1, 2, 1, 5, 1));
        int[] counts = new int[4];
        for (int i = 0; i < 1000; ++i) {
            ++counts[token(sampler, logits, 0, 4)];
        }
        Assert.assertEquals(counts[0] + counts[1], 1000);
        Assert.assertTrue(counts[0] > 400 && counts[1] > 400, Arrays.toString(counts));
    }

    @Test
    public void testASmallNucleusIsGreedy() {
        float[] logits = {0.1f, 0.3f, 0.2f};
        Sampler sampler = sampler(SamplingParameters.of(1, 0, 1e-9, 5, 1));
        for (int i = 0; i < 100; ++i) {
            Assert.assertEquals(token(sampler, logits, 0, 3), 1);
        }
    }

    @Test
    public void testTheSeedAloneDecides() {
        float[] logits = new float[500];
        Random random = new Random(1);
        for (int i = 0; i < logits.length; ++i) {
            logits[i] = (float) random.nextGaussian();
        }
        Assert.assertEquals(draw(logits, 7), draw(logits, 7));
        Assert.assertNotEquals(draw(logits, 7), draw(logits, 8));
    }

    private static String draw(float[] logits, long seed) {
        Sampler sampler = sampler(SamplingParameters.of(1, seed, 1));
        StringBuilder drawn = new StringBuilder();
        for (int i = 0; i < 50; ++i) {
            drawn.append(token(sampler, logits, 0, logits.length)).append(' ');
        }
        return drawn.toString();
    }

    @Test
    public void testExtremesStayFinite() {
        float[] logits = {Float.MAX_VALUE, Float.NEGATIVE_INFINITY, -Float.MAX_VALUE, 3e38f};
        for (double temperature : new double[] {Double.MIN_VALUE, 1e-30, 1, Double.MAX_VALUE}) {
            Sampler sampler = sampler(SamplingParameters.of(temperature, 3, 1));
            for (int i = 0; i < 100; ++i) {
                int token = token(sampler, logits, 0, 4);
                Assert.assertNotEquals(token, 1, "a token that is ruled out");
                if (temperature <= 1) {
                    Assert.assertEquals(token, 0);
                }
            }
        }
    }

    @DataProvider
    public Object[][] brokenLogits() {
        float nan = Float.NaN;
        float infinity = Float.POSITIVE_INFINITY;
        return new Object[][] {
            {new float[] {nan, 1, 2}, "the model's logit of token 0 is NaN; it must be finite"},
            {new float[] {0, 1, nan}, "the model's logit of token 2 is NaN; it must be finite"},
            {
                new float[] {0, infinity, 2},
                "the model's logit of token 1 is Infinity; it must be finite"
            },
            {
                new float[] {-infinity, -infinity},
                "the model's logits are all -Infinity; at least one must be finite"
            },
        };
    }

    @Test(dataProvider = "brokenLogits")
    public void testBrokenLogitsAreRefused(float[] logits, String message) {
        for (double temperature : new double[] {0, 0.8}) {
            Sampler sampler = sampler(SamplingParameters.of(temperature, 3, 1));
            LoraBackendException e =
                    Assert.expectThrows(
                            LoraBackendException.class,
                            () -> token(sampler, logits, 0, logits.length));
            Assert.assertEquals(e.getMessage(), message);
        }
    }
}
