/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.e2e;

import ai.djl.lora.cli.DjlLora;
import ai.djl.lora.jni.LoraLibrary;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** The demo as a user starts it. */
public class DemoTest {

    @Test
    public void testLauncher() throws Exception {
        Repository.requirePackaged();
        Path launcher = Repository.ROOT.resolve("bin/djl-lora");
        Map<String, String> environment = Map.of("JAVA_HOME", System.getProperty("java.home"));
        Execution run =
                Execution.process(
                                Path.of(System.getProperty("java.io.tmpdir")),
                                environment,
                                "",
                                List.of(launcher.toString(), "demo"))
                        .assertExitCode(0);
        Assert.assertEquals(run.err(), "");
        assertTable(run.out());
        String backend = LoraLibrary.isAvailable() ? "cpu" : "pytorch";
        Assert.assertTrue(run.out().contains("backend " + backend + ", float32"), run.out());
    }

    @Test
    public void testWithoutNativeLibrary() throws Exception {
        Execution run =
                Execution.java(DjlLora.class, List.of(), Map.of("DJL_LORA_NATIVE", "off"), "demo")
                        .assertExitCode(0);
        assertTable(run.out());
        Assert.assertTrue(run.out().contains("backend pytorch, float32"), run.out());
    }

    @DataProvider
    public Object[][] types() {
        return new Object[][] {
            {new String[] {"--dtype", "bfloat16"}},
            {new String[] {"--dtype", "float16"}},
            {new String[] {"--dtype", "bfloat16", "--backend", "pytorch"}},
            {new String[] {"--dtype", "bfloat16", "--adapter-dtype", "int8"}},
            {new String[] {"--adapter-dtype", "int8"}},
            {new String[] {"--adapter-dtype", "int8", "--backend", "pytorch"}},
        };
    }

    @Test(dataProvider = "types")
    public void testTypes(String[] options) {
        List<String> args = new ArrayList<>(List.of("demo"));
        args.addAll(List.of(options));
        Execution run = Execution.inProcess(args.toArray());
        if (LoraLibrary.isAvailable() || !args.contains("--dtype")) {
            assertTable(run.assertExitCode(0).out());
        } else {
            run.assertExitCode(2);
            Assert.assertEquals(run.err().lines().count(), 1, run.err());
        }
    }

    private static void assertTable(String out) {
        List<String> lines = out.lines().toList();
        Assert.assertTrue(lines.get(0).startsWith("adapter"), out);
        Set<String> adapters = new TreeSet<>();
        List<String> rows = new ArrayList<>();
        for (String line : lines.subList(2, lines.indexOf(""))) {
            String[] cells = line.split(" {2,}");
            String adapter = "(base)".equals(cells[0]) ? "" : cells[0];
            String word = cells[1].substring(0, cells[1].length() - 1);
            Assert.assertEquals(cells[2], Tasks.answer(adapter, word), line);
            Assert.assertEquals(cells[3], "as expected", line);
            adapters.add(adapter);
            rows.add(line);
        }
        Assert.assertTrue(rows.size() >= 14, out);
        Assert.assertTrue(adapters.contains(""), out);
        Assert.assertTrue(adapters.size() >= 7, "six adapters and the base; found " + adapters);
        Assert.assertTrue(
                out.matches("(?s).* in one batch: \\d+ tokens in [\\d.]+ s, \\d+ tokens/s\n.*"),
                out);
    }
}
