/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.e2e;

import ai.djl.lora.examples.CustomValidation;
import ai.djl.lora.examples.HotSwap;
import ai.djl.lora.examples.SpringServing;
import java.util.List;
import java.util.Map;
import org.testng.Assert;
import org.testng.annotations.Test;

/** Runs the examples that no document prints. */
public class ExamplesTest {

    private static List<String> run(Class<?> example) throws Exception {
        return Execution.java(example, List.of(), Map.of())
                .assertExitCode(0)
                .out()
                .lines()
                .toList();
    }

    @Test
    public void testHotSwap() throws Exception {
        Assert.assertEquals(
                run(HotSwap.class), List.of("sort: 422", "HELLO", "reverse: 200", "olleh"));
    }

    @Test
    public void testCustomValidation() throws Exception {
        List<String> lines = run(CustomValidation.class);
        Assert.assertEquals(lines.size(), 2, lines.toString());
        Assert.assertTrue(lines.get(0).startsWith("200 "), lines.get(0));
        Assert.assertTrue(lines.get(0).contains("\"generated_text\":\"hello\""), lines.get(0));
        Assert.assertTrue(lines.get(1).startsWith("400 "), lines.get(1));
        Assert.assertTrue(lines.get(1).contains("the prompt tells a secret"), lines.get(1));
    }

    @Test
    public void testSpring() throws Exception {
        Assert.assertTrue(run(SpringServing.class).contains("demo: true"));
    }
}
