/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

import ai.djl.lora.LoraBackendException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.function.UnaryOperator;
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

    @Test
    public void testOnlyPlainGreedyNeedsNoLogits() {
        SamplingParameters.Builder plain = SamplingParameters.builder().topK(5).seed(3).n(2);
        plain.stopTokens(Set.of(1)).ignoreEos(true);
        Assert.assertFalse(sampler(plain.build()).needsLogits());
        for (SamplingParameters.Builder builder :
                List.of(
                        SamplingParameters.builder().temperature(0.1),
                        SamplingParameters.builder().repetitionPenalty(1.1),
                        SamplingParameters.builder().presencePenalty(0.1),
                        SamplingParameters.builder().frequencyPenalty(0.1),
                        SamplingParameters.builder().logitBias(Map.of(1, 1f)),
                        SamplingParameters.builder().minNewTokens(1),
                        SamplingParameters.builder().bestOf(2),
                        SamplingParameters.builder().logProbs(0))) {
            Assert.assertTrue(sampler(builder.build()).needsLogits());
        }
    }

    @Test
    public void testLogProbsAreTheModelsOwn() {
        float[] logits = {9, 1, 3, 3, -2, Float.NEGATIVE_INFINITY};
        SamplingParameters parameters =
                SamplingParameters.builder()
                        .temperature(0.3)
                        .topK(1)
                        .logitBias(Map.of(3, 50f))
                        .logProbs(4)
                        .build();
        // The row begins behind a logit of another one.
        Sample sample = sampler(parameters).sample(logits, 1, 5, new History(new int[0]));
        double sum = Math.exp(1) + 2 * Math.exp(3) + Math.exp(-2);
        Assert.assertEquals(
                sample.top().stream().map(TokenLogProb::token).toList(), List.of(1, 2, 0, 3));
        Assert.assertEquals(sample.top().get(0).logProb(), 3 - Math.log(sum), 1e-6);
        double total = sample.top().stream().mapToDouble(t -> Math.exp(t.logProb())).sum();
        Assert.assertEquals(total, 1, 1e-6, "all that is possible is listed");
        Assert.assertEquals(sample.token(), 3);
        Assert.assertEquals(sample.logProb(), -2 - Math.log(sum), 1e-6);
    }

    @Test
    public void testLogProbsAreLeftOutUnlessAskedFor() {
        float[] logits = {1, 2};
        Sample none =
                sampler(SamplingParameters.greedy(1)).sample(logits, 0, 2, new History(new int[0]));
        Assert.assertTrue(Float.isNaN(none.logProb()));
        Assert.assertEquals(none.top(), List.of());
        for (SamplingParameters.Builder builder :
                List.of(
                        SamplingParameters.builder().logProbs(0),
                        // the answers are told apart by them
                        SamplingParameters.builder().bestOf(2))) {
            Sample chosen = sampler(builder.build()).sample(logits, 0, 2, new History(new int[0]));
            Assert.assertEquals(chosen.logProb(), -Math.log1p(Math.exp(-1)), 1e-6);
            Assert.assertEquals(chosen.top(), List.of());
        }
    }

    @Test
    public void testGreedyObeysPenaltiesAndBias() {
        float[] logits = {2, 3, 1, -1, 0};
        History history = new History(new int[] {1, 3});
        history.add(2);
        history.add(2);
        Assert.assertEquals(greedy(b -> b.repetitionPenalty(1.6), logits, history), 0);
        Assert.assertEquals(greedy(b -> b.repetitionPenalty(0.1), logits, history), 1);
        // new tokens alone
        Assert.assertEquals(greedy(b -> b.presencePenalty(2), logits, history), 1);
        Assert.assertEquals(greedy(b -> b.frequencyPenalty(-1.5), logits, history), 2);
        Assert.assertEquals(greedy(b -> b.logitBias(Map.of(4, 3.5f)), logits, history), 4);
        Assert.assertEquals(greedy(b -> b.logitBias(Map.of(1, -100f)), logits, history), 0);
    }

    private static int greedy(
            UnaryOperator<SamplingParameters.Builder> change, float[] logits, History history) {
        SamplingParameters parameters = change.apply(SamplingParameters.builder()).build();
        return sampler(parameters).sample(logits, 0, logits.length, history).token();
    }

    @Test
    public void testAWordThatIsRuledOutStaysSo() {
        float[] logits = {Float.NEGATIVE_INFINITY, 0, -Float.MAX_VALUE, Float.MAX_VALUE};
        History history = new History(new int[] {0, 2, 3});
        SamplingParameters.Builder builder = SamplingParameters.builder().temperature(1);
        for (double penalty : new double[] {1e-300, 0.5, 2, 1e300}) {
            SamplingParameters parameters =
                    builder.repetitionPenalty(penalty).logitBias(Map.of(0, 100f)).build();
            Sampler sampler = sampler(parameters);
            for (int i = 0; i < 50; ++i) {
                Assert.assertNotEquals(sampler.sample(logits, 0, 4, history).token(), 0);
            }
        }
    }

    @Test
    public void testTheLastNumberDrawsATokenThatCanBe() {
        float[] logits = {1, 0.3f, 2, Float.NEGATIVE_INFINITY, -Float.MAX_VALUE};
        SamplingWorkspace workspace = new SamplingWorkspace();
        new Sampler(SamplingParameters.of(0.7, 1, 1), Set.of(), null, workspace)
                .sample(logits, 0, logits.length, new History(new int[0]));
        // 1 itself is never drawn: it stands for what rounding may leave
        Assert.assertEquals(workspace.candidates().draw(1), 2);
        Assert.assertEquals(workspace.candidates().draw(0), 0);
    }

    @Test
    public void testNothingEndsBeforeTheLeastLength() {
        float[] logits = {5, 4, 3, 2};
        SamplingParameters.Builder builder =
                SamplingParameters.builder().minNewTokens(2).stopTokens(Set.of(1));
        for (boolean ignore : new boolean[] {false, true}) {
            Sampler sampler =
                    new Sampler(
                            builder.ignoreEos(ignore).build(),
                            Set.of(0),
                            null,
                            new SamplingWorkspace());
            History history = new History(new int[] {0});
            // an end-of-text token that ends nothing is a token like others
            int first = ignore ? 0 : 2;
            for (int expected : new int[] {first, first, 0}) {
                Assert.assertEquals(sampler.sample(logits, 0, 4, history).token(), expected);
                history.add(expected);
            }
        }
    }

    @Test
    public void testSamplersThatShareAWorkspaceDoNotMeet() {
        Random random = new Random(9);
        float[][] rows = new float[3][];
        for (int i = 0; i < rows.length; ++i) {
            rows[i] = new float[200 + 100 * i];
            for (int j = 0; j < rows[i].length; ++j) {
                rows[i][j] = (float) random.nextGaussian();
            }
        }
        SamplingParameters[] parameters = {
            SamplingParameters.of(1, 0, 0.9, 5, 1),
            SamplingParameters.builder().temperature(1).seed(6).typicalP(0.7).logProbs(3).build(),
            SamplingParameters.builder().temperature(2).seed(7).repetitionPenalty(1.5).build(),
        };
        SamplingWorkspace shared = new SamplingWorkspace();
        List<Sampler> together = new ArrayList<>();
        List<Sampler> alone = new ArrayList<>();
        for (SamplingParameters each : parameters) {
            together.add(new Sampler(each, Set.of(), null, shared));
            alone.add(new Sampler(each, Set.of(), null, new SamplingWorkspace()));
        }
        History history = new History(new int[] {1, 2, 3});
        for (int step = 0; step < 300; ++step) {
            int i = random.nextInt(parameters.length);
            Assert.assertEquals(
                    together.get(i).sample(rows[i], 0, rows[i].length, history),
                    alone.get(i).sample(rows[i], 0, rows[i].length, history));
        }
    }

    @DataProvider
    public Object[][] large() {
        return new Object[][] {{0.5}, {3.0}, {20.0}};
    }

    /** Prefixes that are selected piece by piece are those of a full sort. */
    @Test(dataProvider = "large")
    public void testALargeNucleusIsTheSmallestThatCovers(double spread) {
        Random random = new Random(12);
        float[] logits = new float[20_000];
        for (int i = 0; i < logits.length; ++i) {
            logits[i] = (float) (spread * random.nextGaussian());
        }
        double[] expected = reference(logits, 1, 0.9);
        SamplingWorkspace workspace = new SamplingWorkspace();
        SamplingParameters parameters = SamplingParameters.of(1, 0, 0.9, 1, 1);
        Sampler sampler = new Sampler(parameters, Set.of(), null, workspace);
        for (int i = 0; i < 2; ++i) {
            sampler.sample(logits, 0, logits.length, new History(new int[0]));
        }
        for (int i = 0; i < 10_000; ++i) {
            int token = workspace.candidates().draw(i / 10_000.0);
            Assert.assertTrue(expected[token] > 0, "token " + token);
        }
        double least = Double.POSITIVE_INFINITY;
        for (int i = 0; i < logits.length; ++i) {
            if (expected[i] > 0) {
                least = Math.min(least, logits[i]);
            }
        }
        int last = workspace.candidates().draw(Math.nextDown(1.0));
        Assert.assertEquals(logits[last], (float) least, "the nucleus ends with its least likely");
    }

    private static double[] reference(float[] logits, double temperature, double topP) {
        Integer[] order = new Integer[logits.length];
        Arrays.setAll(order, i -> i);
        Arrays.sort(order, (a, b) -> Float.compare(logits[b], logits[a]));
        double total = 0;
        for (float logit : logits) {
            total += Math.exp(logit / temperature);
        }
        double[] weights = new double[logits.length];
        double covered = 0;
        for (int i = 0; i < order.length && covered < topP * total; ++i) {
            weights[order[i]] = Math.exp(logits[order[i]] / temperature);
            covered += weights[order[i]];
        }
        return weights;
    }
}
