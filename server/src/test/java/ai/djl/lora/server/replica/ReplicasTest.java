/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.replica;

import ai.djl.lora.op.LoraContext;
import ai.djl.lora.server.DemoServer;
import ai.djl.lora.server.model.ServedModel;
import ai.djl.lora.translate.TextRequest;
import ai.djl.lora.translate.TextResult;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.testng.Assert;
import org.testng.annotations.Test;

/** Tests a server whose requests several engines answer. */
public class ReplicasTest {

    private static final String[] ADAPTERS = {"upper", "reverse", "rot13", "sort", "demo"};
    private static final String[] ANSWERS = {"HELLO", "olleh", "uryyb", "ehllo", "hello"};

    private static DemoServer start(ReplicaOptions options) throws Exception {
        return new DemoServer(
                DemoServer.model(options, "upper", "reverse", "rot13", "sort"), builder -> builder);
    }

    private static HttpResponse<String> ask(DemoServer demo, String session, String body)
            throws Exception {
        HttpRequest.Builder request =
                HttpRequest.newBuilder(demo.uri("/v1/completions"))
                        .header("Content-Type", "application/json")
                        .POST(HttpRequest.BodyPublishers.ofString(body.replace('\'', '"')));
        if (!session.isEmpty()) {
            request.header("X-Session-Id", session);
        }
        return demo.send(request);
    }

    private static String text(HttpResponse<String> answer) {
        Assert.assertEquals(answer.statusCode(), 200, answer.body());
        return JsonParser.parseString(answer.body())
                .getAsJsonObject()
                .getAsJsonArray("choices")
                .get(0)
                .getAsJsonObject()
                .get("text")
                .getAsString();
    }

    /** Returns how many requests for an adapter each replica was given, by its index. */
    private static TreeMap<Integer, Integer> given(DemoServer demo, String adapter)
            throws Exception {
        TreeMap<Integer, Integer> given = new TreeMap<>();
        Matcher line =
                Pattern.compile(
                                "engine_requests_total\\{adapter=\""
                                        + adapter
                                        + "\",model=\"demo\",replica=\"(\\d)\"} (\\d+)\\.0")
                        .matcher(demo.send("GET", "/metrics/prometheus").body());
        while (line.find()) {
            given.put(Integer.valueOf(line.group(1)), Integer.valueOf(line.group(2)));
        }
        return given;
    }

    private static String body(int i) {
        return "{'model':'" + ADAPTERS[i % 5] + "','prompt':'hello=','temperature':0}";
    }

    @Test
    public void testMixedAdaptersOverAllReplicas() throws Exception {
        ExecutorService clients = Executors.newFixedThreadPool(12);
        try (DemoServer demo = start(ReplicaOptions.of(3))) {
            List<Future<String>> texts = new ArrayList<>();
            for (int i = 0; i < 60; ++i) {
                String body = body(i);
                texts.add(clients.submit(() -> text(ask(demo, "", body))));
            }
            for (int i = 0; i < 60; ++i) {
                Assert.assertEquals(texts.get(i).get(60, TimeUnit.SECONDS), ANSWERS[i % 5]);
            }
            int all = 0;
            Set<Integer> used = new TreeSet<>();
            for (String adapter : List.of("upper", "reverse", "rot13", "sort", "base")) {
                TreeMap<Integer, Integer> given = given(demo, adapter);
                used.addAll(given.keySet());
                all += given.values().stream().mapToInt(Integer::intValue).sum();
            }
            Assert.assertEquals(all, 60);
            Assert.assertEquals(used, Set.of(0, 1, 2));
            JsonObject info =
                    JsonParser.parseString(demo.send("GET", "/info").body()).getAsJsonObject();
            Assert.assertEquals(info.get("replicas").getAsInt(), 3);
            JsonObject health = health(demo);
            Assert.assertEquals(health.get("status").getAsString(), "healthy");
            Assert.assertEquals(health.getAsJsonArray("replicas").size(), 3);
            int blocks = 0;
            for (var each : health.getAsJsonArray("replicas")) {
                blocks += each.getAsJsonObject().get("kvBlocks").getAsInt();
            }
            Assert.assertEquals(
                    health.getAsJsonObject("engine").get("kvBlocks").getAsInt(), blocks);
            for (EngineReplica replica : demo.server().model().replicas().all()) {
                Assert.assertEquals(replica.load().answers(), 0, "of replica " + replica.index());
            }
        } finally {
            clients.shutdownNow();
        }
    }

    private static JsonObject health(DemoServer demo) throws Exception {
        return JsonParser.parseString(demo.send("GET", "/health").body()).getAsJsonObject();
    }

    @Test
    public void testSessionStaysWithItsReplica() throws Exception {
        try (DemoServer demo = start(ReplicaOptions.of(3))) {
            Set<Integer> homes = new TreeSet<>();
            for (String session : List.of("anna", "berta", "cora", "dora", "emma", "fritz")) {
                TreeMap<Integer, Integer> before = given(demo, "upper");
                for (int i = 0; i < 4; ++i) {
                    Assert.assertEquals(text(ask(demo, session, body(0))), "HELLO");
                }
                TreeMap<Integer, Integer> after = given(demo, "upper");
                after.entrySet().removeAll(before.entrySet());
                Assert.assertEquals(after.size(), 1, session + ": " + after);
                int home = after.firstKey();
                Assert.assertEquals(after.get(home) - before.getOrDefault(home, 0), 4);
                homes.add(home);
            }
            Assert.assertTrue(homes.size() > 1, "all sessions are with " + homes);
        }
    }

    @Test
    public void testAdapterStaysWithItsReplica() throws Exception {
        ReplicaOptions options =
                new ReplicaOptions(3, new AdapterAffine(AdapterAffine.DEFAULT_LOAD_FACTOR));
        try (DemoServer demo = start(options)) {
            demo.server().model().adapters().alias("capitals", "upper");
            for (int i = 0; i < 20; ++i) {
                Assert.assertEquals(text(ask(demo, "", body(i))), ANSWERS[i % 5]);
            }
            for (String adapter : List.of("upper", "reverse", "rot13", "sort")) {
                Assert.assertEquals(
                        List.copyOf(given(demo, adapter).values()), List.of(4), adapter);
            }
            // an alias leads to the same revision, and so to the same replica
            int home = given(demo, "upper").firstKey();
            text(ask(demo, "", "{'model':'capitals','prompt':'hello=','temperature':0}"));
            Assert.assertEquals(given(demo, "capitals").firstKey().intValue(), home);
            Assert.assertEquals(given(demo, "base").size(), 3, "the base model's replicas");
        }
    }

    @Test
    public void testSwapHoldsForAllReplicasAtOnce() throws Exception {
        ExecutorService clients = Executors.newFixedThreadPool(4);
        AtomicBoolean done = new AtomicBoolean();
        try (DemoServer demo = start(ReplicaOptions.of(3))) {
            ServedModel model = demo.server().model();
            List<Future<Set<String>>> running = new ArrayList<>();
            for (int i = 0; i < 3; ++i) {
                Callable<Set<String>> client =
                        () -> {
                            Set<String> seen = new TreeSet<>();
                            while (!done.get()) {
                                TextResult result = ask(model, "");
                                seen.add(result.revision() + ' ' + result.text());
                            }
                            return seen;
                        };
                running.add(clients.submit(client));
            }
            Set<String> expected = new TreeSet<>();
            for (int i : new int[] {0, 1, 2, 0}) {
                model.adapters().replace("upper", DemoServer.FOLDER.resolve(ADAPTERS[i]));
                String revision = model.adapters().getRegistry().get("upper").current().hash();
                expected.add(revision + ' ' + ANSWERS[i]);
                // whoever asks from now on gets the new one, whichever replica answers
                for (int session = 0; session < 6; ++session) {
                    TextResult result = ask(model, "session-" + session);
                    Assert.assertEquals(result.revision(), revision);
                    Assert.assertEquals(result.text(), ANSWERS[i]);
                }
            }
            done.set(true);
            for (Future<Set<String>> client : running) {
                for (String seen : client.get(60, TimeUnit.SECONDS)) {
                    Assert.assertTrue(expected.contains(seen), seen + " of " + expected);
                }
            }
            for (EngineReplica replica : model.replicas().all()) {
                Assert.assertTrue(
                        replica.statistics().newTokens() > 0, "replica " + replica.index());
            }
        } finally {
            done.set(true);
            clients.shutdownNow();
        }
    }

    private static TextResult ask(ServedModel model, String session) throws Exception {
        return model.text(session)
                .begin(new TextRequest("hello=", "upper"))
                .result()
                .get(60, TimeUnit.SECONDS);
    }

    @Test
    public void testOthersAnswerWhenAReplicaEnds() throws Exception {
        ExecutorService clients = Executors.newFixedThreadPool(16);
        try (DemoServer demo = start(ReplicaOptions.of(3))) {
            List<EngineReplica> replicas = demo.server().model().replicas().all();
            // the adapter is there before steps are held up
            Assert.assertEquals(text(ask(demo, "", body(0))), "HELLO");
            CountDownLatch held = new CountDownLatch(1);
            CountDownLatch release = new CountDownLatch(1);
            LoraContext context = demo.server().model().block().getLoraContext();
            Future<?> holder =
                    clients.submit(
                            () ->
                                    context.runAlone(
                                            () -> {
                                                held.countDown();
                                                await(release);
                                            }));
            await(held);
            List<Future<HttpResponse<String>>> answers = new ArrayList<>();
            for (int i = 0; i < 9; ++i) {
                answers.add(clients.submit(() -> ask(demo, "", body(0))));
            }
            awaitAnswers(replicas, 9);
            String texts =
                    "{'model':'upper','input':["
                            + String.join(",", Collections.nCopies(12, "'hello='"))
                            + "]}";
            Future<HttpResponse<String>> vectors =
                    clients.submit(() -> demo.post("/v1/embeddings", texts));
            awaitAnswers(replicas, 21);
            Assert.assertEquals(replicas.get(1).load().answers(), 7);
            // no answer is whole after one step, and it takes no second one
            Future<?> closing = clients.submit(() -> replicas.get(1).engine().close());
            while (replicas.get(1).isReady()) {
                Thread.sleep(1);
            }
            release.countDown();
            holder.get(60, TimeUnit.SECONDS);
            closing.get(60, TimeUnit.SECONDS);
            for (Future<HttpResponse<String>> answer : answers) {
                Assert.assertEquals(text(answer.get(120, TimeUnit.SECONDS)), "HELLO");
            }
            HttpResponse<String> read = vectors.get(120, TimeUnit.SECONDS);
            Assert.assertEquals(read.statusCode(), 200, read.body());
            Assert.assertEquals(demo.send("GET", "/health/ready").statusCode(), 200);
            JsonObject health = health(demo);
            Assert.assertEquals(health.get("status").getAsString(), "degraded");
            List<String> states = new ArrayList<>();
            health.getAsJsonArray("replicas")
                    .forEach(each -> states.add(each.getAsJsonObject().get("state").getAsString()));
            Assert.assertEquals(states, List.of("running", "ended", "running"));
            Assert.assertEquals(replicas.get(1).load().answers(), 0);
            for (int session = 0; session < 12; ++session) {
                Assert.assertEquals(text(ask(demo, "session-" + session, body(1))), "olleh");
            }
            // one that drains takes no more either
            Assert.assertTrue(replicas.get(0).engine().drain(Duration.ofSeconds(30)), "drained");
            long before = replicas.get(0).statistics().newTokens();
            for (int session = 0; session < 12; ++session) {
                Assert.assertEquals(text(ask(demo, "session-" + session, body(2))), "uryyb");
            }
            Assert.assertEquals(replicas.get(0).statistics().newTokens(), before);
            replicas.get(2).engine().close();
            Assert.assertEquals(demo.send("GET", "/health/ready").statusCode(), 503);
            HttpResponse<String> none = ask(demo, "", body(0));
            Assert.assertEquals(none.statusCode(), 503, none.body());
            Assert.assertTrue(none.body().contains("no engine takes requests"), none.body());
            Assert.assertEquals(none.headers().firstValue("Retry-After").orElse(""), "1");
            Assert.assertEquals(health(demo).get("status").getAsString(), "no_engine");
        } finally {
            clients.shutdownNow();
        }
    }

    private static void await(CountDownLatch latch) {
        try {
            Assert.assertTrue(latch.await(60, TimeUnit.SECONDS), "it takes too long");
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Waits until so many answers wait or are written. */
    private static void awaitAnswers(List<EngineReplica> replicas, int count)
            throws InterruptedException {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
        while (replicas.stream().mapToInt(each -> each.load().answers()).sum() < count) {
            Assert.assertTrue(System.nanoTime() < end, "requests do not arrive");
            Thread.sleep(1);
        }
    }

    @Test
    public void testNothingIsLeft() throws Exception {
        // without adapters, whose arrays come and go with the memory that there is
        try (ServedModel model = DemoServer.model(ReplicaOptions.of(3))) {
            var manager = model.block().getLoraContext().getManager();
            model.text().begin(new TextRequest("hello=", "")).result().get(60, TimeUnit.SECONDS);
            int all = manager.getManagedArrays().size();
            List<EngineReplica> replicas = model.replicas().all();
            replicas.get(2).engine().close();
            int own = all - manager.getManagedArrays().size();
            Assert.assertTrue(own > 0, "an engine has keys and values");
            replicas.get(0).engine().close();
            replicas.get(1).engine().close();
            Assert.assertEquals(manager.getManagedArrays().size(), all - 3 * own);
        }
    }
}
