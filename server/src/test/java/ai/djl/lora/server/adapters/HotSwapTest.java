/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters;

import ai.djl.lora.cache.AdapterLease;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.server.DemoServer;
import ai.djl.lora.server.adapters.source.SourcePolicy;
import ai.djl.lora.server.model.ServedModel;
import ai.djl.lora.translate.TextResult;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.testng.Assert;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Revisions that take others' places, all at once, in part, or not at all. */
public class HotSwapTest {

    private AdapterServer server;
    private String revision;

    @BeforeMethod
    public void start() throws Exception {
        server = new AdapterServer();
        revision = server.get("/adapters/upper").get("revision").getAsString();
    }

    @AfterMethod(alwaysRun = true)
    public void stop() {
        server.close();
    }

    @Test
    public void testSwapAndRollback() throws Exception {
        Assert.assertEquals(server.answer("upper", "hello="), "HELLO");
        JsonObject swapped =
                server.post(
                        200,
                        "/adapters/upper/hot-swap",
                        "{'source':'%s','golden':[{'prompt':'hello=','expected':'olleh'},"
                                + "{'prompt':'hello=','expected':'o','max_tokens':1}]}",
                        AdapterServer.source("reverse"));
        Assert.assertEquals(swapped.get("previous_revision").getAsString(), revision);
        Assert.assertTrue(swapped.get("drained").getAsBoolean(), "drained");
        Assert.assertEquals(
                swapped.getAsJsonObject("seconds").keySet(),
                Set.of("fetch", "load", "smoke", "golden", "switch", "drain"));
        // the same prompt again: what is cached of the old revision is not used
        TextResult after = server.ask("upper", "", "hello=");
        Assert.assertEquals(after.text(), "olleh");
        Assert.assertEquals(after.revision(), swapped.get("revision").getAsString());
        Assert.assertEquals(server.get("/adapters/upper").getAsJsonArray("revisions").size(), 2);

        JsonObject back =
                server.post(
                        200,
                        "/adapters/upper/rollback",
                        "{'golden':[{'prompt':'hello=','expected':'HELLO'}]}");
        Assert.assertEquals(back.get("revision").getAsString(), revision);
        Assert.assertEquals(back.get("previous_revision"), swapped.get("revision"));
        Assert.assertTrue(back.get("drained").getAsBoolean(), "drained");
        Assert.assertEquals(
                back.getAsJsonObject("seconds").keySet(),
                Set.of("load", "smoke", "golden", "switch", "drain"));
        Assert.assertEquals(server.answer("upper", "hello="), "HELLO");
        String none = AdapterServer.message(server.send(409, "POST", "/adapters/upper/rollback"));
        Assert.assertTrue(none.contains("no earlier revision"), none);
    }

    @Test
    public void testRollbackThatFailsLeavesTheCurrentRevision() throws Exception {
        JsonObject swapped =
                server.post(
                        200,
                        "/adapters/upper/hot-swap",
                        "{'source':'%s'}",
                        AdapterServer.source("reverse"));
        String path = "/adapters/upper/rollback";
        Object[][] refusals = {
            {422, "{'golden':[{'prompt':'hello=','expected':'olleh'}]}", "golden", "is \"HELLO\""},
            {422, "{'golden_logits':'" + logits("reverse") + "'}", "golden", "expected"},
            {422, "{'trial_seconds':0}", "smoke", "took longer"},
            {403, "{'golden_logits':'/etc/passwd'}", "fetch", "is not among those"},
        };
        for (Object[] refusal : refusals) {
            JsonObject refused = server.post((int) refusal[0], path, (String) refusal[1]);
            Assert.assertTrue(refused.getAsJsonObject("error").has("step"), refused.toString());
            Assert.assertEquals(
                    refused.getAsJsonObject("error").get("step").getAsString(), refusal[2]);
            String told = AdapterServer.message(refused);
            Assert.assertTrue(told.contains((String) refusal[3]), told);
            Assert.assertEquals(
                    server.ask("upper", "", "hello=").revision(),
                    swapped.get("revision").getAsString());
            Assert.assertEquals(
                    server.server().model().adapters().statistics().device().adapters(), 2);
        }
        AdapterServer.message(server.post(400, path, "{'source':'/x'}"));
        server.post(200, path, "{'golden_logits':'%s'}", logits("upper"));
        Assert.assertEquals(server.ask("upper", "", "hello=").revision(), revision);
    }

    /** Returns what transformers and PEFT compute with an adapter of the demo. */
    private static String logits(String adapter) {
        return AdapterServer.GOLDENS.resolve(adapter + ".safetensors").toString();
    }

    @Test
    public void testGoldenLogits() throws Exception {
        String path = "/adapters/upper/hot-swap";
        String body = "{'source':'%s','smoke_prompt':'','golden_logits':'%s'%s}";
        String reverse = AdapterServer.source("reverse");
        String told =
                AdapterServer.message(server.post(422, path, body, reverse, logits("upper"), ""));
        Assert.assertTrue(
                told.matches(
                        "row 0 of the golden logits, token \\d+: the logarithm of its probability"
                                + " is \\S+, expected \\S+ within 0.001"),
                told);
        // the right adapter, and more exact than float32 can be
        server.post(422, path, body, reverse, logits("reverse"), ",'golden_tolerance':1e-12");
        Assert.assertEquals(server.ask("upper", "", "hello=").revision(), revision);
        server.post(200, path, body, reverse, logits("reverse"), "");
        Assert.assertEquals(server.answer("upper", "hello="), "olleh");

        String weights = AdapterServer.source("upper") + "/adapter_model.safetensors";
        JsonObject refused = server.post(400, path, body, reverse, weights, "");
        Assert.assertEquals(refused.getAsJsonObject("error").get("step").getAsString(), "fetch");
        server.post(400, path, body, reverse, logits("reverse"), ",'golden_tolerance':0");
        server.post(400, path, "{'source':'%s','golden_tolerance':1}", reverse);
    }

    /** Each adapter passes its own file, where rounding takes most, and none that of another. */
    @Test
    public void testGoldenLogitsOfAModelOf16Bits() throws Exception {
        String path = "/adapters/x/hot-swap";
        String body = "{'source':'%s','smoke_prompt':'','golden_logits':'%s'}";
        ServedModel model =
                ServedModel.load(
                        "demo",
                        DemoServer.FOLDER.resolve("base"),
                        Map.of("dtype", "bfloat16"),
                        SamplingParameters.greedy(32));
        try (AdapterServer rounded = new AdapterServer(model)) {
            rounded.post(
                    201, "/adapters", "{'name':'x','source':'%s'}", AdapterServer.source("upper"));
            for (String adapter : List.of("mask", "reverse", "rot13", "sort", "upper", "vowels")) {
                String source = AdapterServer.source(adapter);
                rounded.post(422, path, body, source, logits("piglatin"));
                rounded.post(200, path, body, source, logits(adapter));
            }
        }
    }

    @Test
    public void testWhatRunsEndsWithTheOldRevision() throws Exception {
        JsonObject swapped;
        try (AdapterLease lease = server.server().model().adapters().acquire("upper")) {
            swapped =
                    server.post(
                            200,
                            "/adapters/upper/hot-swap",
                            "{'source':'%s','drain_seconds':0.1}",
                            AdapterServer.source("reverse"));
            Assert.assertFalse(swapped.get("drained").getAsBoolean(), "drained");
            Assert.assertEquals(lease.getRevision(), revision);
            lease.getSlot();
            Assert.assertEquals(server.answer("upper", "hello="), "olleh");
        }
    }

    @Test
    public void testSwapsUnderLoadGiveNoWrongAnswer() throws Exception {
        String[] sources = {"reverse", "upper", "rot13", "upper"};
        String[] answers = {"HELLO", "olleh", "uryyb"};
        AtomicBoolean done = new AtomicBoolean();
        ExecutorService clients = Executors.newFixedThreadPool(4);
        try {
            List<Future<Set<String>>> running = new ArrayList<>();
            for (int i = 0; i < 4; ++i) {
                Callable<Set<String>> client =
                        () -> {
                            Set<String> seen = new TreeSet<>();
                            while (!done.get()) {
                                TextResult result = server.ask("upper", "", "hello=");
                                seen.add(result.revision() + ' ' + result.text());
                            }
                            return seen;
                        };
                running.add(clients.submit(client));
            }
            for (String source : sources) {
                server.post(
                        200,
                        "/adapters/upper/hot-swap",
                        "{'source':'%s'}",
                        AdapterServer.source(source));
            }
            done.set(true);
            Set<String> seen = new TreeSet<>();
            for (Future<Set<String>> client : running) {
                seen.addAll(client.get(60, TimeUnit.SECONDS));
            }
            // each revision has given its own answer and no other
            Set<String> revisions = new TreeSet<>();
            for (String one : seen) {
                Assert.assertTrue(revisions.add(one.split(" ")[0]), seen.toString());
                Assert.assertTrue(List.of(answers).contains(one.split(" ")[1]), one);
            }
        } finally {
            done.set(true);
            clients.shutdownNow();
        }
    }

    @DataProvider
    public Object[][] failures() throws IOException {
        String reverse = AdapterServer.source("reverse");
        return new Object[][] {
            {403, "fetch", "{'source':'/etc'}", "is not among those"},
            {400, "load", "{'source':'" + AdapterServer.FOLDER + "'}", "adapter_model.safetensors"},
            {422, "load", "{'source':'" + reverse + "','revision':'" + "0".repeat(64) + "'}", ""},
            {
                400,
                "smoke",
                "{'source':'" + reverse + "','smoke_prompt':'" + "long ".repeat(2000) + "'}",
                ""
            },
            {
                422,
                "golden",
                "{'source':'" + reverse + "','golden':[{'prompt':'hello=','expected':'HELLO'}]}",
                "the answer to golden[0] \"hello=\" is \"olleh\", expected \"HELLO\""
            },
            {
                422,
                "smoke",
                "{'source':'" + reverse + "','trial_seconds':0}",
                "took longer than 0 seconds"
            },
        };
    }

    @Test(dataProvider = "failures")
    public void testFailureLeavesTheOldRevision(
            int status, String step, String body, String message) throws Exception {
        JsonObject refused = server.post(status, "/adapters/upper/hot-swap", body);
        Assert.assertEquals(refused.getAsJsonObject("error").get("step").getAsString(), step);
        String told = AdapterServer.message(refused);
        Assert.assertTrue(told.contains(message), told);
        Assert.assertEquals(server.ask("upper", "", "hello=").revision(), revision);
        Assert.assertEquals(server.answer("upper", "hello="), "HELLO");
        JsonObject shown = server.get("/adapters/upper");
        Assert.assertEquals(shown.get("revision").getAsString(), revision);
        Assert.assertEquals(shown.getAsJsonArray("revisions").size(), 1);
        // nothing is left of what was tried
        Assert.assertEquals(server.server().model().adapters().statistics().device().adapters(), 2);
    }

    @Test
    public void testAdapterThatDoesNotFit() throws Exception {
        Path broken = Files.createTempDirectory("broken");
        Path from = Path.of(AdapterServer.source("upper"));
        Files.copy(
                from.resolve("adapter_model.safetensors"),
                broken.resolve("adapter_model.safetensors"));
        String config = Files.readString(from.resolve("adapter_config.json"));
        Files.writeString(
                broken.resolve("adapter_config.json"), config.replaceAll("\"q_proj\"", "\"x\""));
        try (AdapterServer other =
                new AdapterServer(
                        sources ->
                                sources.optPolicy(SourcePolicy.of(List.of(broken.toString()))))) {
            JsonObject refused =
                    other.post(
                            422, "/adapters/upper/hot-swap", "{'source':'%s'}", broken.toString());
            Assert.assertEquals(refused.getAsJsonObject("error").get("step").getAsString(), "load");
            Assert.assertEquals(other.answer("upper", "hello="), "HELLO");
        }
    }

    @Test
    public void testWrongFields() throws Exception {
        String path = "/adapters/upper/hot-swap";
        for (String body :
                List.of(
                        "{}",
                        "{'source':1}",
                        "{'source':'/x','golden':{}}",
                        "{'source':'/x','golden':[1]}",
                        "{'source':'/x','golden':[{'prompt':'a'}]}",
                        "{'source':'/x','golden':[{'prompt':'a','expected':'b','max_tokens':0}]}",
                        "{'source':'/x','golden':[{'prompt':'a','expected':'b','x':0}]}",
                        "{'source':'/x','drain_seconds':-1}",
                        "{'source':'/x','drain_seconds':601}",
                        "{'source':'/x','trial_seconds':'1'}",
                        "{'source':'/x','smoke':false}")) {
            AdapterServer.message(server.post(400, path, body));
        }
        AdapterServer.message(server.post(404, "/adapters/nobody/hot-swap", "{'source':'/x'}"));
    }

    @Test
    public void testCanary() throws Exception {
        String path = "/adapters/upper/canary";
        JsonObject begun =
                server.post(
                        200, path, "{'source':'%s','share':0.25}", AdapterServer.source("reverse"));
        String other = begun.getAsJsonObject("canary").get("revision").getAsString();
        Assert.assertEquals(begun.get("revision").getAsString(), revision);
        Set<String> first = sessionsOf(other);
        // 400 sessions at a share of 0.25: 100, give or take 5 standard deviations of 8.7
        Assert.assertTrue(first.size() > 56 && first.size() < 144, "sessions " + first.size());
        Assert.assertEquals(sessionsOf(other), first);
        String session = first.iterator().next();
        TextResult result = server.ask("upper", session, "hello=");
        Assert.assertEquals(result.revision(), other);
        Assert.assertEquals(result.text(), "olleh");

        server.post(200, path, "{'share':0.5}");
        Set<String> more = sessionsOf(other);
        Assert.assertTrue(more.containsAll(first) && more.size() > first.size(), "more");
        AdapterServer.message(
                server.post(
                        409,
                        "/adapters/upper/hot-swap",
                        "{'source':'%s'}",
                        AdapterServer.source("rot13")));
        AdapterServer.message(server.send(409, "POST", "/adapters/upper/rollback"));

        String target = server.server().targets().target("upper", session);
        server.send(200, "DELETE", path);
        Assert.assertEquals(sessionsOf(other), Set.of());
        // a request that was on its way when the canary ended
        Assert.assertEquals(server.ask(target, "", "hello=").revision(), revision);
        AdapterServer.message(server.send(404, "DELETE", path));
        AdapterServer.message(server.send(404, "POST", path + "/promote"));

        server.post(200, path, "{'source':'%s','share':1}", AdapterServer.source("reverse"));
        JsonObject promoted = server.send(200, "POST", path + "/promote");
        Assert.assertEquals(promoted.get("revision").getAsString(), other);
        Assert.assertFalse(promoted.has("canary"), "canary");
        Assert.assertEquals(server.answer("upper", "hello="), "olleh");
        server.send(200, "POST", "/adapters/upper/rollback");
        Assert.assertEquals(server.answer("upper", "hello="), "HELLO");

        for (String body :
                List.of("{}", "{'share':0}", "{'share':1.01}", "{'share':'1'}", "{'share':-1}")) {
            AdapterServer.message(server.post(400, path, body));
        }
        AdapterServer.message(server.post(404, path, "{'share':0.5}"));
    }

    private Set<String> sessionsOf(String other) {
        Set<String> sessions = new TreeSet<>();
        for (int i = 0; i < 400; ++i) {
            String target = server.server().targets().target("upper", "session-" + i);
            if (server.server().model().adapters().state(target).revision().equals(other)) {
                sessions.add("session-" + i);
            }
        }
        return sessions;
    }

    @Test
    public void testUnregisteringEndsTheCanary() throws Exception {
        server.post(
                200,
                "/adapters/upper/canary",
                "{'source':'%s','share':1}",
                AdapterServer.source("reverse"));
        server.send(200, "DELETE", "/adapters/upper");
        Assert.assertEquals(server.server().targets().target("upper", ""), "upper");
        Assert.assertEquals(server.server().model().adapters().statistics().device().adapters(), 1);
    }
}
