/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.benchmarks;

import ai.djl.lora.cli.bench.OperatorCase;
import ai.djl.lora.cli.bench.Popularity;
import ai.djl.lora.op.BatchPlan;
import ai.djl.lora.tensor.ElementType;
import java.util.HashSet;
import java.util.List;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class CaseNameTest {

    @Test
    public void testParse() {
        OperatorCase shape = CaseName.parse("2048x5632-r16-t64-zipf");
        Assert.assertEquals(shape.in(), 2048);
        Assert.assertEquals(shape.out(), 5632);
        Assert.assertEquals(shape.ranks(), List.of(16));
        Assert.assertEquals(shape.tokens(), 64);
        Assert.assertEquals(shape.adapters(), 64);
        Assert.assertEquals(shape.popularity(), Popularity.ZIPF);
        Assert.assertEquals(CaseName.parse("8x8-r4-t512-distinct4").adapters(), 4);
        Assert.assertEquals(CaseName.parse("8x8-r4-t512-identical").adapters(), 1);
    }

    @Test
    public void testMixedRanksAreCounted() {
        // two rows each of the ranks 4, 8 and 16, by hand
        OperatorCase shape = CaseName.parse("10x30-rmixed-t6-distinct3");
        BatchPlan plan = shape.plan();
        Assert.assertEquals(shape.highestRank(), 16);
        Assert.assertEquals(shape.operations(plan), 2L * 2 * (4 + 8 + 16) * 40);
        Assert.assertEquals(
                shape.bytes(plan, ElementType.BFLOAT16),
                2L * ((4 + 8 + 16) * 40 + 6 * (10 + 2 * 30)));
        Assert.assertEquals(
                shape.bytes(plan, ElementType.FLOAT32),
                2 * shape.bytes(plan, ElementType.BFLOAT16));
        // only what rows chose is counted
        OperatorCase identical = CaseName.parse("10x30-rmixed-t6-identical3");
        Assert.assertEquals(
                identical.bytes(identical.plan(), ElementType.BFLOAT16),
                2L * (4 * 40 + 6 * (10 + 2 * 30)));
    }

    @DataProvider
    public Object[][] refused() {
        return new Object[][] {
            {""},
            {"2048-r16-t64-zipf"},
            {"0x2048-r16-t64-zipf"},
            {"2048x2048-r0-t64-zipf"},
            {"2048x2048-rmany-t64-zipf"},
            {"2048x2048-r16-t0-zipf"},
            {"2048x2048-r16-t64-favourite"},
            {"2048x2048-r16-t64-zipf0"},
            {"2048x2048-r16-t64-zipf 8"}
        };
    }

    @Test(dataProvider = "refused")
    public void testRefused(String name) {
        IllegalArgumentException e =
                Assert.expectThrows(IllegalArgumentException.class, () -> CaseName.parse(name));
        Assert.assertTrue(e.getMessage().startsWith('"' + name + '"'), e.getMessage());
        Assert.assertTrue(e.getMessage().contains("zipf, skewed"), e.getMessage());
    }

    @Test
    public void testEveryListedCaseIsOne() {
        List<String> grid =
                CaseList.product(
                        CaseList.SHAPES, CaseList.RANKS, CaseList.TOKENS, CaseList.POPULARITIES);
        Assert.assertEquals(new HashSet<>(grid).size(), 9 * 8 * 10 * 5);
        for (List<String> names : List.of(grid, CaseList.sweeps(), CaseList.quick())) {
            for (String name : names) {
                Assert.assertEquals(CaseName.parse(name).name(), name);
            }
        }
        for (Popularity popularity : Popularity.values()) {
            String name = CaseName.of("2048x2048", "16", 64, popularity);
            Assert.assertTrue(CaseList.sweeps().contains(name), name);
        }
    }
}
