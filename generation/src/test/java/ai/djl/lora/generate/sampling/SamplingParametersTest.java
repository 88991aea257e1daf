/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

import ai.djl.lora.LoraConfigurationException;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.UnaryOperator;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class SamplingParametersTest {

    private static final OutputConstraint CONSTRAINT = new OutputConstraint.Regex("a");

    @Test
    public void testDefaultsAreGreedy() {
        SamplingParameters defaults = SamplingParameters.builder().build();
        Assert.assertEquals(defaults, SamplingParameters.greedy(16));
        Assert.assertEquals(defaults.temperature(), 0.0);
        Assert.assertEquals(defaults.topK(), 0);
        Assert.assertEquals(defaults.topP(), 1.0);
        Assert.assertEquals(defaults.minP(), 0.0);
        Assert.assertEquals(defaults.typicalP(), 1.0);
        Assert.assertEquals(defaults.repetitionPenalty(), 1.0);
        Assert.assertEquals(defaults.presencePenalty(), 0.0);
        Assert.assertEquals(defaults.frequencyPenalty(), 0.0);
        Assert.assertEquals(defaults.logitBias(), Map.of());
        Assert.assertEquals(defaults.seed(), 0L);
        Assert.assertEquals(defaults.minNewTokens(), 0);
        Assert.assertFalse(defaults.ignoreEos());
        Assert.assertEquals(defaults.stopTokens(), Set.of());
        Assert.assertEquals(defaults.stopStrings(), List.of());
        Assert.assertEquals(defaults.logProbs(), -1);
        Assert.assertEquals(defaults.n(), 1);
        Assert.assertEquals(defaults.bestOf(), 1);
        Assert.assertEquals(defaults.constraint(), Optional.empty());
        Assert.assertEquals(SamplingParameters.builder().n(3).build().bestOf(), 3);
    }

    /** A change of each field alone, at the edge of what is allowed where there is one. */
    @DataProvider
    public Object[][] changes() {
        return new Object[][] {
            {change(b -> b.temperature(1e9))},
            {change(b -> b.topK(Integer.MAX_VALUE))},
            {change(b -> b.topP(1e-9))},
            {change(b -> b.minP(1))},
            {change(b -> b.typicalP(1e-9))},
            {change(b -> b.repetitionPenalty(1e-9))},
            {change(b -> b.presencePenalty(-2))},
            {change(b -> b.frequencyPenalty(2))},
            {change(b -> b.logitBias(Map.of(0, -100f, 5, 100f)))},
            {change(b -> b.seed(Long.MIN_VALUE))},
            {change(b -> b.maxNewTokens(Integer.MAX_VALUE))},
            {change(b -> b.minNewTokens(16))},
            {change(b -> b.ignoreEos(true))},
            {change(b -> b.stopTokens(Set.of(0)))},
            {change(b -> b.stopStrings(List.of("\n")))},
            {change(b -> b.logProbs(20))},
            {change(b -> b.n(128))},
            {change(b -> b.bestOf(128))},
            {change(b -> b.constraint(CONSTRAINT))},
        };
    }

    private static UnaryOperator<SamplingParameters.Builder> change(
            UnaryOperator<SamplingParameters.Builder> change) {
        return change;
    }

    @Test(dataProvider = "changes")
    public void testEachFieldCountsAndIsKept(UnaryOperator<SamplingParameters.Builder> change) {
        SamplingParameters changed = change.apply(SamplingParameters.builder()).build();
        Assert.assertNotEquals(changed, SamplingParameters.builder().build());
        Assert.assertEquals(change.apply(SamplingParameters.builder()).build(), changed);
        Assert.assertEquals(
                change.apply(SamplingParameters.builder()).build().hashCode(), changed.hashCode());
        Assert.assertEquals(changed.toBuilder().build(), changed);
    }

    @DataProvider
    public Object[][] bad() {
        String share = "; it must be above 0 and at most 1 (all tokens)";
        String penalty = "; it must be between -2 and 2 (0 for none)";
        String temperature = "; it must be 0 (greedy) or a finite number above";
        return new Object[][] {
            {change(b -> b.maxNewTokens(0)), "maxNewTokens is 0; it must be 1 or more"},
            {change(b -> b.temperature(-0.5)), "temperature is -0.5" + temperature},
            {change(b -> b.temperature(Double.NaN)), "temperature is NaN" + temperature},
            {
                change(b -> b.temperature(Double.POSITIVE_INFINITY)),
                "temperature is Infinity" + temperature
            },
            {change(b -> b.topK(-1)), "topK is -1; it must be 0 (all tokens) or more"},
            {change(b -> b.topP(0)), "topP is 0.0" + share},
            {change(b -> b.topP(Double.NaN)), "topP is NaN" + share},
            {change(b -> b.topP(1.5)), "topP is 1.5" + share},
            {change(b -> b.minP(-0.1)), "minP is -0.1; it must be between 0 (all tokens) and 1"},
            {change(b -> b.minP(1.1)), "minP is 1.1; it must be between 0 (all tokens) and 1"},
            {change(b -> b.typicalP(0)), "typicalP is 0.0" + share},
            {
                change(b -> b.repetitionPenalty(0)),
                "repetitionPenalty is 0.0; it must be a finite number above 0 (1 for none)"
            },
            {change(b -> b.presencePenalty(2.1)), "presencePenalty is 2.1" + penalty},
            {change(b -> b.frequencyPenalty(Double.NaN)), "frequencyPenalty is NaN" + penalty},
            {
                change(b -> b.logitBias(Map.of(-1, 0f))),
                "a token of logitBias is -1; it must be 0 or more"
            },
            {
                change(b -> b.logitBias(Map.of(4, 101f))),
                "logitBias of token 4 is 101.0; it must be between -100 and 100"
            },
            {
                change(b -> b.logitBias(Map.of(4, Float.NaN))),
                "logitBias of token 4 is NaN; it must be between -100 and 100"
            },
            {
                change(b -> b.stopTokens(Set.of(-7))),
                "a token of stopTokens is -7; it must be 0 or more"
            },
            {
                change(b -> b.stopStrings(List.of("a", ""))),
                "a string of stopStrings is \"\"; it must be a text that is not empty"
            },
            {
                change(b -> b.minNewTokens(17)),
                "minNewTokens is 17; it must be between 0 and maxNewTokens, which is 16"
            },
            {change(b -> b.logProbs(21)), "logProbs is 21; it must be between -1 (none) and 20"},
            {change(b -> b.n(0)), "n is 0; it must be between 1 and 128"},
            {
                change(b -> b.n(3).bestOf(2)),
                "bestOf is 2; it must be 0 (as n) or between n, which is 3, and 128"
            },
        };
    }

    @Test(dataProvider = "bad")
    public void testBadValuesAreNamed(
            UnaryOperator<SamplingParameters.Builder> change, String message) {
        SamplingParameters.Builder builder = change.apply(SamplingParameters.builder());
        LoraConfigurationException e =
                Assert.expectThrows(LoraConfigurationException.class, builder::build);
        Assert.assertEquals(e.getMessage(), message);
    }

    @Test
    public void testTokensAreCheckedAgainstTheVocabulary() {
        SamplingParameters biased =
                SamplingParameters.builder().logitBias(Map.of(1, 1f, 8, 1f)).build();
        biased.checkVocabulary(9);
        LoraConfigurationException e =
                Assert.expectThrows(
                        LoraConfigurationException.class, () -> biased.checkVocabulary(8));
        Assert.assertEquals(
                e.getMessage(), "logitBias names token 8; the model's vocabulary is 0 to 7");
    }

    @Test
    public void testTheAnswersOfARequestHaveSeedsOfTheirOwn() {
        Set<Long> seeds = new HashSet<>();
        for (int seed = 0; seed < 50; ++seed) {
            SamplingParameters parameters = SamplingParameters.of(1, seed, 1);
            Assert.assertEquals(parameters.choiceSeed(0), seed);
            for (int choice = 0; choice < SamplingParameters.MAX_CHOICES; ++choice) {
                seeds.add(parameters.choiceSeed(choice));
            }
        }
        Assert.assertEquals(seeds.size(), 50 * SamplingParameters.MAX_CHOICES);
    }
}
