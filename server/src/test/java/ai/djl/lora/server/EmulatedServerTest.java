/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server;

import ai.djl.engine.Engine;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.server.model.ServedModel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.testng.Assert;
import org.testng.SkipException;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.Test;

/** A server whose model and adapters lie on an emulated GPU (native-op/test/emulated_cuda). */
public class EmulatedServerTest {

    private static final Path BASE = DemoServer.FOLDER.resolve("base");

    @BeforeClass
    public void load() {
        Path driver = Path.of(System.getProperty("djl.lora.emulatedCuda"));
        Path torch = driver.resolveSibling("libtorch_cuda.so");
        for (Path library : new Path[] {driver, torch}) {
            if (!Files.isRegularFile(library)) {
                throw new SkipException(
                        library + " is not there; native-op builds it with DJL_LORA_CUDA=fetch");
            }
        }
        Engine.getEngine("PyTorch");
        System.load(driver.toString());
        System.load(torch.toString());
    }

    private static ServedModel model(String device) {
        return ServedModel.load(
                "demo", BASE, Map.of("device", device), SamplingParameters.greedy(8));
    }

    @Test
    public void adaptersOnTheGpuAnswerAndLeave() throws Exception {
        ServedModel model = model("gpu");
        Assert.assertEquals(model.block().getLoraContext().getBackend().getName(), "cuda");
        model.adapters().register("upper", DemoServer.FOLDER.resolve("upper"));
        try (DemoServer server = new DemoServer(model, builder -> builder)) {
            assertAnswer(server, "upper", "HELLO");
            assertAnswer(server, "demo", "hello");
            model.adapters().register("reverse", DemoServer.FOLDER.resolve("reverse"));
            assertAnswer(server, "reverse", "olleh");
            String metrics = server.send("GET", "/metrics").body();
            Assert.assertTrue(metrics.contains("\"area\":\"device\""), metrics);
            Assert.assertTrue(metrics.contains("memory_device_limit_bytes"), metrics);
            String health = server.send("GET", "/health").body();
            Assert.assertTrue(health.contains("\"device\""), health);
        }
    }

    private static void assertAnswer(DemoServer server, String model, String text)
            throws Exception {
        String body =
                server.post(
                                "/v1/completions",
                                "{'model': '" + model + "', 'prompt': 'hello=', 'max_tokens': 8}")
                        .body();
        Assert.assertTrue(body.contains("\"" + text), body);
    }

    @Test
    public void gpusThatAreNotThereAreRefused() {
        LoraConfigurationException e =
                Assert.expectThrows(LoraConfigurationException.class, () -> model("gpu:7"));
        Assert.assertTrue(
                e.getMessage().contains("The model cannot lie on gpu(7): there is no GPU 7"),
                e.getMessage());
        Assert.assertThrows(LoraConfigurationException.class, () -> model("cuda"));
    }
}
