/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters;

import ai.djl.lora.cache.AdapterSettings;
import ai.djl.lora.cache.AdapterState;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.server.DemoServer;
import ai.djl.lora.server.model.ServedModel;
import ai.djl.lora.translate.TextResult;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.testng.Assert;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.Test;

/** What a server that has a registry is like after a restart. */
public class RestartTest {

    private static final int SESSIONS = 200;

    private Path state;

    @BeforeMethod
    public void newState() throws IOException {
        state = Files.createTempDirectory("state");
    }

    /** Starts a server of what is on record. */
    private AdapterServer start() {
        return new AdapterServer(model());
    }

    private ServedModel model() {
        return ServedModel.load(
                "demo",
                DemoServer.FOLDER.resolve("base"),
                Map.of("dtype", "float32", "adapter_registry", state.toString()),
                SamplingParameters.greedy(32));
    }

    @Test
    public void testNamesAreKept() throws Exception {
        String revision;
        try (AdapterServer server = start()) {
            server.post(
                    201, "/adapters", "{'name':'x','source':'%s'}", AdapterServer.source("upper"));
            server.post(200, "/adapters/x/alias", "{'alias':'loud'}");
            server.send(200, "POST", "/adapters/x/pin");
            revision =
                    server.post(
                                    200,
                                    "/adapters/x/hot-swap",
                                    "{'source':'%s'}",
                                    AdapterServer.source("reverse"))
                            .get("revision")
                            .getAsString();
        }
        try (AdapterServer server = start()) {
            JsonObject shown = server.get("/adapters/loud");
            Assert.assertEquals(shown.get("name").getAsString(), "x");
            Assert.assertEquals(shown.get("revision").getAsString(), revision);
            Assert.assertEquals(shown.get("src").getAsString(), AdapterServer.source("reverse"));
            Assert.assertTrue(shown.get("pinned").getAsBoolean(), "pinned");
            Assert.assertEquals(server.answer("loud", "hello="), "olleh");
            server.send(200, "POST", "/adapters/loud/rollback");
        }
        try (AdapterServer server = start()) {
            Assert.assertEquals(server.answer("loud", "hello="), "HELLO");
            server.send(200, "DELETE", "/adapters/x/alias/loud");
            server.send(200, "DELETE", "/adapters/x");
        }
        try (AdapterServer server = start()) {
            Assert.assertEquals(server.get("/adapters").getAsJsonArray("adapters").size(), 0);
        }
    }

    @Test
    public void testCanaryIsKept() throws Exception {
        String path = "/adapters/x/canary";
        String other;
        Set<String> sessions;
        try (AdapterServer server = start()) {
            server.post(
                    201, "/adapters", "{'name':'x','source':'%s'}", AdapterServer.source("upper"));
            JsonObject begun =
                    server.post(
                            200,
                            path,
                            "{'source':'%s','share':0.5,'pin':true}",
                            AdapterServer.source("reverse"));
            other = begun.getAsJsonObject("canary").get("revision").getAsString();
            server.post(200, path, "{'share':0.25}");
            sessions = sessionsOf(server, other);
            Assert.assertFalse(sessions.isEmpty(), "no session");
        }
        try (AdapterServer server = start()) {
            JsonObject canary = server.get("/adapters/x").getAsJsonObject("canary");
            Assert.assertEquals(canary.get("revision").getAsString(), other);
            Assert.assertEquals(canary.get("share").getAsDouble(), 0.25);
            Assert.assertEquals(sessionsOf(server, other), sessions);
            TextResult result = server.ask("x", sessions.iterator().next(), "hello=");
            Assert.assertEquals(result.revision(), other);
            Assert.assertEquals(result.text(), "olleh");
            Set<String> all = new TreeSet<>();
            for (int i = 0; i < SESSIONS; ++i) {
                all.add("session-" + i);
            }
            all.removeAll(sessions);
            Assert.assertEquals(server.ask("x", all.iterator().next(), "hello=").text(), "HELLO");
            AdapterServer.message(server.send(409, "POST", "/adapters/x/rollback"));
            server.post(200, path, "{'share':0.5}");
            Assert.assertTrue(sessionsOf(server, other).containsAll(sessions), "sessions");
        }
        try (AdapterServer server = start()) {
            JsonObject promoted = server.send(200, "POST", path + "/promote");
            Assert.assertEquals(promoted.get("revision").getAsString(), other);
            Assert.assertTrue(promoted.get("pinned").getAsBoolean(), "pinned");
            Assert.assertEquals(server.answer("x", "hello="), "olleh");
        }
        try (AdapterServer server = start()) {
            Assert.assertFalse(server.get("/adapters/x").has("canary"), "canary");
            Assert.assertEquals(server.answer("x", "hello="), "olleh");
            Assert.assertEquals(server.get("/adapters/x").getAsJsonArray("revisions").size(), 2);
        }
    }

    @Test
    public void testCanaryThatEndedStaysAway() throws Exception {
        try (AdapterServer server = start()) {
            server.post(
                    201, "/adapters", "{'name':'x','source':'%s'}", AdapterServer.source("upper"));
            server.post(
                    200,
                    "/adapters/x/canary",
                    "{'source':'%s','share':1}",
                    AdapterServer.source("reverse"));
        }
        try (AdapterServer server = start()) {
            Assert.assertEquals(server.answer("x", "hello="), "olleh");
            server.send(200, "DELETE", "/adapters/x/canary");
            Assert.assertEquals(server.answer("x", "hello="), "HELLO");
        }
        try (AdapterServer server = start()) {
            Assert.assertFalse(server.get("/adapters/x").has("canary"), "canary");
            Assert.assertEquals(server.answer("x", "hello="), "HELLO");
            server.send(200, "DELETE", "/adapters/x");
        }
    }

    @Test
    public void testCanaryWhoseFilesHaveChangedAnswersNothing() throws Exception {
        Path copy = Files.createTempDirectory("changing");
        copy(AdapterServer.source("reverse"), copy);
        try (AdapterServer server = start()) {
            AdapterStore store = server.server().model().adapters();
            store.register("x", Path.of(AdapterServer.source("upper")));
            store.tryOut("x", copy, AdapterSettings.DEFAULTS).keepAsCanary(1);
        }
        copy(AdapterServer.source("rot13"), copy);
        try (AdapterServer server = start()) {
            Throwable refused =
                    Assert.expectThrows(
                            Exception.class, () -> server.ask("x", "", "hello=").text());
            Assert.assertTrue(
                    refused.toString().contains("is not what it was"), refused.toString());
            String target = server.server().targets().target("x", "");
            AdapterState state = server.server().model().adapters().state(target);
            Assert.assertEquals(state.place(), AdapterState.Place.FAILED);
            // the way out
            server.send(200, "DELETE", "/adapters/x/canary");
            Assert.assertEquals(server.answer("x", "hello="), "HELLO");
        }
    }

    private static void copy(String from, Path to) throws IOException {
        for (String file : new String[] {"adapter_config.json", "adapter_model.safetensors"}) {
            Files.write(to.resolve(file), Files.readAllBytes(Path.of(from, file)));
        }
    }

    private static Set<String> sessionsOf(AdapterServer server, String revision) {
        Set<String> sessions = new TreeSet<>();
        for (int i = 0; i < SESSIONS; ++i) {
            String target = server.server().targets().target("x", "session-" + i);
            if (server.server().model().adapters().state(target).revision().equals(revision)) {
                sessions.add("session-" + i);
            }
        }
        return sessions;
    }
}
