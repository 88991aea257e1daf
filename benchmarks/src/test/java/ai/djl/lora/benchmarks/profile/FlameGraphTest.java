/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.benchmarks.profile;

import java.util.List;
import org.testng.Assert;
import org.testng.annotations.Test;

public class FlameGraphTest {

    private static final List<String> STACKS =
            List.of(
                    "[djl-lora-engine tid=7];java/lang/Thread.run;a/b/Engine.step;OptoRuntime::new_array 3",
                    "[djl-lora-engine tid=8];java/lang/Thread.run;a/b/Engine.step;"
                            + "a/b/Engine$$Lambda$12.0x00007f.get;ai/djl/lora/jni/LoraNative.call;"
                            + "/some/where/lib.so;/some/where/lib.so 6",
                    "[djl-lora-engine tid=8];java/lang/Thread.run;a/b/Engine.step;"
                            + "a/b/Engine$$Lambda$99.0x00004e.get;ai/djl/lora/jni/LoraNative.call;"
                            + "c10::Box<int>::call(long, std::vector<int> const&) 1",
                    "[main tid=1];java/lang/Thread.run 100");

    @Test
    public void testSharesAreOfTheEnginesThread() {
        StackTree root = FlameGraph.read(STACKS);
        Assert.assertEquals(root.samples(), 10);
        Assert.assertEquals(root.javaSamples(), 3);
        // run, step, lambda, call, library
        Assert.assertEquals(root.depth(), 6);
    }

    @Test
    public void testDrawingNamesFramesWithoutFolders() {
        String svg = FlameGraph.draw(FlameGraph.read(STACKS));
        Assert.assertTrue(svg.contains("<title>lib.so, 60.00 %</title>"), svg);
        Assert.assertTrue(svg.contains("<title>Engine$$Lambda.get, 70.00 %</title>"), svg);
        Assert.assertTrue(svg.contains("<title>c10::Box&lt;int&gt;::call, 10.00 %</title>"), svg);
        Assert.assertTrue(svg.contains("10 samples, 30.0 % in Java"), svg);
        Assert.assertFalse(svg.contains("some"), svg);
    }
}
