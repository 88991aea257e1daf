/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.server;

import ai.djl.lora.cli.DjlLora;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.server.LoraServer;
import ai.djl.lora.server.adapters.source.SourceOptions;
import ai.djl.lora.server.adapters.source.SourcePolicy;
import ai.djl.lora.server.model.ServedModel;
import ai.djl.ndarray.NDList;
import ai.djl.repository.zoo.Criteria;
import ai.djl.translate.NoopTranslator;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.testng.Assert;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.Test;

/** The commands that manage the adapters of a running server, against one. */
public class ServerCommandsTest {

    private static final Path DEMO = Path.of("../examples/demo").toAbsolutePath().normalize();

    private LoraServer server;

    @BeforeClass
    public void start() throws Exception {
        var model =
                Criteria.builder()
                        .setTypes(NDList.class, NDList.class)
                        .optEngine("PyTorch")
                        .optModelPath(DEMO.resolve("base"))
                        .optTranslator(new NoopTranslator())
                        .optArgument("dtype", "float32")
                        .build()
                        .loadModel();
        ServedModel served = new ServedModel("demo", model, SamplingParameters.greedy(32));
        server =
                LoraServer.builder()
                        .setModel(served)
                        .optAdapterSources(
                                SourceOptions.builder()
                                        .optPolicy(SourcePolicy.of(List.of(DEMO.toString())))
                                        .build())
                        .build()
                        .start();
    }

    @AfterClass(alwaysRun = true)
    public void stop() {
        server.close();
    }

    private String run(int code, String... arguments) {
        List<String> all = new ArrayList<>(List.of("adapters"));
        all.addAll(List.of(arguments));
        all.add("--url=" + server.uri() + '/');
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        int exit =
                DjlLora.run(new PrintWriter(out), new PrintWriter(err), all.toArray(new String[0]));
        Assert.assertEquals(exit, code, out.toString() + err);
        return code == 0 ? out.toString() : err.toString();
    }

    private static void contains(String text, String... parts) {
        for (String part : parts) {
            Assert.assertTrue(text.contains(part), text);
        }
    }

    @Test
    public void testLifeOfAnAdapter() throws Exception {
        String upper = DEMO.resolve("upper").toString();
        String reverse = DEMO.resolve("reverse").toString();
        contains(run(0, "load", "x", upper, "--pin", "--tenant", "t"), "x", "device", "tenant t");
        contains(run(2, "load", "x", upper), "answered 409", "is an adapter \"x\" already");
        contains(run(2, "load", "y", "/etc"), "answered 403");
        contains(run(0, "load", "sent", reverse, "--upload"), "sent");
        contains(run(2, "load", "y", "/nothing.zip", "--upload"), "there is no such file");
        JsonObject list = JsonParser.parseString(run(0, "list", "--json")).getAsJsonObject();
        Assert.assertEquals(list.getAsJsonArray("adapters").size(), 2);
        contains(run(0, "list"), "sent", "x", "pinned");

        Path golden = Files.createTempFile("golden", ".jsonl");
        Files.writeString(
                golden,
                "{\"adapter\": \"x\", \"prompt\": \"hello=\", \"expected\": \"olleh\"}\n"
                        + "{\"adapter\": \"other\", \"prompt\": \"hello=\", \"expected\": \"\"}\n");
        contains(run(0, "swap", "x", reverse, "--golden", golden.toString()), "x: revision", "->");
        contains(
                run(2, "swap", "x", upper, "--golden", golden.toString()),
                "at the step golden: the answer to golden[0]");
        contains(
                run(2, "swap", "sent", upper, "--golden", golden.toString()),
                "no line is of adapter sent");
        contains(run(0, "rollback", "x"), "x");
        contains(run(2, "rollback", "x"), "no earlier revision");
        contains(
                run(
                        0,
                        "swap",
                        "x",
                        reverse,
                        "--upload",
                        "--smoke-prompt=hello=",
                        "--trial-seconds=30",
                        "--drain-seconds=5"),
                "x: revision",
                "->");
        contains(run(0, "rollback", "x"), "x");
        contains(run(2, "swap", "nobody", reverse, "--upload"), "answered 404");
        contains(
                run(2, "swap", "x", reverse, "--upload", "--golden", golden.toString()),
                "--golden cannot go with --upload");

        contains(run(0, "unpin", "x"), "x");
        contains(run(0, "pin", "x"), "pinned");
        contains(run(0, "prefetch", "x"), "device");
        contains(run(0, "alias", "x", "loud"), "alias loud");
        contains(run(0, "switch", "loud"), "get loud");
        contains(run(2, "unload", "x"), "answered 409");
        contains(run(0, "switch", "demo"), "get demo");
        run(0, "alias", "x", "loud", "--remove");
        contains(run(0, "canary", "x", reverse, "--share", "0.5"), "canary", "for 0.5");
        contains(run(0, "canary", "x", "--share", "0.75"), "for 0.75");
        contains(run(2, "canary", "x"), "give one of");
        contains(run(2, "canary", "x", "--promote", "--end"), "give one of");
        Assert.assertFalse(run(0, "canary", "x", "--end").contains("canary"), "canary");
        run(0, "canary", "x", reverse, "--share", "1");
        run(0, "canary", "x", "--promote");
        contains(run(0, "unload", "x"), "Adapter x unregistered");
        contains(run(2, "unload", "x"), "answered 404: there is no adapter \"x\"");
    }

    @Test
    public void testNoServer() {
        StringWriter err = new StringWriter();
        int exit =
                DjlLora.run(
                        new PrintWriter(new StringWriter()),
                        new PrintWriter(err),
                        "adapters",
                        "list",
                        "--url=http://127.0.0.1:1");
        Assert.assertEquals(exit, 2);
        contains(err.toString(), "no server answers there");
        exit =
                DjlLora.run(
                        new PrintWriter(new StringWriter()),
                        new PrintWriter(err),
                        "adapters",
                        "list",
                        "--url=nothing");
        Assert.assertEquals(exit, 2);
        contains(err.toString(), "--url is nothing");
    }
}
