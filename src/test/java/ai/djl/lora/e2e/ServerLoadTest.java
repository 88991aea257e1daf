/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.e2e;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.testng.Assert;
import org.testng.annotations.Test;

/**
 * Loads a server in a process of its own: many connections over many adapters, of which some are
 * swapped while they answer and others come and go, by clients of which some vanish and some read
 * slowly. Each answer is compared with what the revision that it names said when nobody else was
 * there.
 *
 * <p>{@code -Ddjl.lora.load.seconds} and {@code -Ddjl.lora.load.connections} make it longer and
 * wider; docs/results/serving.md has such a run. One of two minutes and more must keep the rates of
 * swaps, loads and unloads, and its memory; a short one is for answers.
 */
public class ServerLoadTest {

    private static final Logger logger = LoggerFactory.getLogger(ServerLoadTest.class);
    private static final Path DEMO = Repository.ROOT.resolve("examples/demo");
    private static final List<String> TASKS =
            List.of("upper", "reverse", "rot13", "sort", "vowels", "mask", "piglatin");

    /** What the adapters were trained to say, as examples/demo/prompts.jsonl has it. */
    private static final Map<String, String> HELLO =
            Map.of(
                    "upper", "HELLO",
                    "reverse", "olleh",
                    "rot13", "uryyb",
                    "sort", "ehllo",
                    "vowels", "2",
                    "mask", "h*ll*",
                    "piglatin", "ellohay");

    private static final List<String> WORDS = List.of("hello", "lora", "water", "stone", "garden");
    private static final int ADAPTERS = 64;
    private static final int SWAPPED = 8;
    private static final int CHURNED = 4;
    private static final long SECONDS = Long.getLong("djl.lora.load.seconds", 12);
    private static final int CONNECTIONS = Integer.getInteger("djl.lora.load.connections", 48);
    private static final boolean LONG = SECONDS >= 120;

    private static final double SWAPS_A_MINUTE = 10;
    private static final double CHURNS_A_MINUTE = 50;

    /* A little more often than is wanted, since the last ones may end too late to count. */
    private static final long SWAP_MILLIS = Math.min(5900, SECONDS * 1000 / 4);
    private static final long CHURN_MILLIS = 1180;

    private final Map<String, String> taskOfRevision = new HashMap<>();
    private final Map<String, String> truth = new HashMap<>();
    private final LoadTally tally = new LoadTally();
    private URI server;

    /** Returns a slot's tasks: two for those that are swapped between them. */
    private static List<String> tasksOf(int slot) {
        String task = TASKS.get(slot % TASKS.size());
        return slot < SWAPPED ? List.of(task, TASKS.get((slot + 3) % TASKS.size())) : List.of(task);
    }

    private static String slot(int index) {
        return String.format("slot-%02d", index);
    }

    @Test
    public void testNothingIsLostOrMistaken() throws Exception {
        List<String> options =
                new ArrayList<>(
                        List.of("--model", DEMO.resolve("base").toString(), "--name", "demo"));
        for (int i = 0; i < ADAPTERS; ++i) {
            options.addAll(List.of("--adapter", slot(i) + "=" + DEMO.resolve(tasksOf(i).get(0))));
        }
        for (String task : TASKS) {
            options.addAll(List.of("--adapter", task + "=" + DEMO.resolve(task)));
        }
        try (ServedProcess process = new ServedProcess(List.of("-Xmx512m"), options)) {
            server = process.uri();
            learn();
            MemoryTrend resident = load();
            logger.info("{} connections: {}", CONNECTIONS, tally);
            logger.info("resident: {}", resident);
            Assert.assertEquals(tally.defects(), List.of(), tally.toString());
            Assert.assertTrue(tally.of("right") > 0, tally.toString());
            Assert.assertTrue(tally.of("swapped") > 0, tally.toString());
            Assert.assertTrue(tally.of("loaded") > 0, tally.toString());
            if (LONG) {
                // a short run depends on the machine, and is still warming up
                checkRate("swapped", tally.of("swapped"), SWAPS_A_MINUTE);
                checkRate(
                        "loaded and unloaded",
                        tally.of("loaded") + tally.of("unloaded"),
                        CHURNS_A_MINUTE);
                checkMemory(resident);
            }
            awaitIdle();
            Assert.assertTrue(process.end(60), "the server ends: " + process.errors());
        }
    }

    /** Asks each task for each word while nobody else is there. */
    private void learn() throws IOException {
        try (RawExchange client = new RawExchange(server)) {
            for (String task : TASKS) {
                for (String word : WORDS) {
                    RawExchange.Head head =
                            client.send("POST", "/v1/completions", request(task, word, false));
                    JsonObject answer = object(client.body(head));
                    Assert.assertEquals(head.status(), 200, answer.toString());
                    String revision = answer.get("revision").getAsString();
                    taskOfRevision.put(revision, task);
                    truth.put(revision + word, text(answer));
                }
            }
        }
        Assert.assertEquals(taskOfRevision.size(), TASKS.size());
        taskOfRevision.forEach(
                (revision, task) ->
                        Assert.assertEquals(truth.get(revision + "hello"), HELLO.get(task), task));
    }

    private static String request(String model, String word, boolean stream) {
        JsonObject body = new JsonObject();
        body.addProperty("model", model);
        body.addProperty("prompt", word + "=");
        body.addProperty("max_tokens", 24);
        body.addProperty("temperature", 0);
        body.addProperty("stream", stream);
        return body.toString();
    }

    private static JsonObject object(String json) {
        return JsonParser.parseString(json).getAsJsonObject();
    }

    private static String text(JsonObject answer) {
        JsonArray choices = answer.getAsJsonArray("choices");
        return choices.isEmpty() ? "" : choices.get(0).getAsJsonObject().get("text").getAsString();
    }

    private MemoryTrend load() throws Exception {
        ExecutorService threads = Executors.newCachedThreadPool();
        long begin = System.nanoTime();
        long end = begin + TimeUnit.SECONDS.toNanos(SECONDS);
        MemoryTrend resident = new MemoryTrend();
        try {
            List<Future<?>> all = new ArrayList<>();
            for (int i = 0; i < CONNECTIONS; ++i) {
                SplittableRandom random = new SplittableRandom(i);
                all.add(threads.submit(() -> clients(random, end)));
            }
            all.add(threads.submit(() -> swaps(end)));
            all.add(threads.submit(() -> churn(end)));
            while (System.nanoTime() < end) {
                double bytes = metric("memory_usage_bytes{area=\"resident\"");
                resident.add((System.nanoTime() - begin) / 60e9, bytes);
                Thread.sleep(1000);
            }
            for (Future<?> each : all) {
                each.get(3, TimeUnit.MINUTES);
            }
        } finally {
            threads.shutdownNow();
        }
        return resident;
    }

    private void clients(SplittableRandom random, long end) {
        while (System.nanoTime() < end) {
            try (RawExchange client = new RawExchange(server)) {
                // a connection serves some requests, as those of a pool do
                boolean open = true;
                for (int i = 0; open && i < 20 && System.nanoTime() < end; ++i) {
                    open = ask(client, random);
                }
            } catch (IOException | RuntimeException e) {
                tally.defect(e.toString());
            }
        }
    }

    /** Sends one request, and returns whether the connection is still good. */
    private boolean ask(RawExchange client, SplittableRandom random) throws IOException {
        int kind = random.nextInt(100);
        boolean churned = random.nextInt(20) == 0;
        int index = random.nextInt(churned ? CHURNED : ADAPTERS);
        String model = churned ? "churn-" + index : slot(index);
        String word = WORDS.get(random.nextInt(WORDS.size()));
        long begun = System.nanoTime();
        RawExchange.Head head =
                client.send("POST", "/v1/completions", request(model, word, kind >= 10));
        if (head.status() != 200) {
            refused(churned, head, client.body(head));
            return !"close".equals(head.headers().get("connection"));
        }
        if (kind < 10) {
            JsonObject answer = object(client.body(head));
            check(churned, index, word, answer, text(answer));
            return true;
        }
        boolean vanishes = kind < 16;
        boolean slow = kind >= 94;
        StringBuilder events = new StringBuilder();
        boolean whole =
                client.chunks(
                        head,
                        piece -> {
                            if (events.isEmpty()) {
                                tally.first((System.nanoTime() - begun) * 1e-6);
                            }
                            events.append(piece);
                            if (slow) {
                                pause(100);
                            }
                            return !vanishes;
                        });
        if (!whole) {
            tally.count("vanished");
            return false;
        }
        StringBuilder text = new StringBuilder();
        JsonObject last = null;
        for (String event : events.toString().split("\n\n")) {
            if (!event.equals("data: [DONE]")) {
                last = object(event.substring("data: ".length()));
                if (last.has("error")) {
                    tally.defect("an error in a stream: " + last);
                    return true;
                }
                text.append(text(last));
            }
        }
        if (!events.toString().endsWith("data: [DONE]\n\n") || last == null) {
            tally.defect("a stream without an end: " + events);
            return true;
        }
        check(churned, index, word, last, text.toString());
        return true;
    }

    private static void pause(long millis) {
        try {
            Thread.sleep(millis);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void refused(boolean churned, RawExchange.Head head, String body) {
        String code = object(body).getAsJsonObject("error").get("code").getAsString();
        boolean gone = churned && head.status() == 404 && code.equals("model_not_found");
        boolean busy =
                (head.status() == 429 || head.status() == 503)
                        && head.headers().containsKey("retry-after");
        if (gone || busy) {
            tally.count("refused: " + code);
        } else {
            tally.defect(head.status() + " " + body);
        }
    }

    private void check(boolean churned, int index, String word, JsonObject answer, String text) {
        String revision = answer.get("revision").getAsString();
        String task = taskOfRevision.get(revision);
        List<String> allowed = churned ? List.of(churnTask(index)) : tasksOf(index);
        if (!allowed.contains(task)) {
            tally.defect(
                    slot(index) + " was answered by " + task + "; it may be one of " + allowed);
        } else if (!truth.get(revision + word).equals(text)) {
            tally.defect(task + " of " + word + " is " + text + " under load");
        } else {
            tally.count("right");
        }
    }

    private Void swaps(long end) throws IOException, InterruptedException {
        Pace pace = new Pace(SWAP_MILLIS, end);
        try (RawExchange client = new RawExchange(server)) {
            for (int i = 0; pace.await(); ++i) {
                int index = i % SWAPPED;
                String task = tasksOf(index).get((i / SWAPPED + 1) % 2);
                JsonObject body = new JsonObject();
                body.addProperty("source", DEMO.resolve(task).toString());
                RawExchange.Head head =
                        client.send(
                                "POST", "/adapters/" + slot(index) + "/hot-swap", body.toString());
                count("swapped", 200, head, client.body(head));
            }
        }
        return null;
    }

    private static String churnTask(int index) {
        return TASKS.get((index + 2) % TASKS.size());
    }

    private Void churn(long end) throws IOException, InterruptedException {
        boolean[] loaded = new boolean[CHURNED];
        Pace pace = new Pace(CHURN_MILLIS, end);
        try (RawExchange client = new RawExchange(server)) {
            for (int i = 0; pace.await(); ++i) {
                int index = i % CHURNED;
                String name = "churn-" + index;
                RawExchange.Head head;
                if (loaded[index]) {
                    head = client.send("DELETE", "/adapters/" + name, "");
                    count("unloaded", 200, head, client.body(head));
                } else {
                    JsonObject body = new JsonObject();
                    body.addProperty("name", name);
                    body.addProperty("source", DEMO.resolve(churnTask(index)).toString());
                    head = client.send("POST", "/adapters", body.toString());
                    count("loaded", 201, head, client.body(head));
                }
                loaded[index] = !loaded[index];
            }
        }
        return null;
    }

    private void count(String outcome, int wanted, RawExchange.Head head, String body) {
        if (head.status() == wanted) {
            tally.count(outcome);
        } else {
            tally.defect(outcome + ": " + head.status() + " " + body);
        }
    }

    private double metric(String start) throws IOException {
        try (RawExchange client = new RawExchange(server)) {
            String text = client.body(client.send("GET", "/metrics/prometheus", ""));
            return text.lines()
                    .filter(line -> line.startsWith(start))
                    .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' '))))
                    .sum();
        }
    }

    private static void checkRate(String what, int count, double wanted) {
        double found = count * 60.0 / SECONDS;
        logger.info("{}: {} a minute, wanted {}", what, found, wanted);
        Assert.assertTrue(found >= wanted, what + " " + found + " a minute, wanted " + wanted);
    }

    /**
     * What is in use in the second third of the run must not grow in the last one. A tenth is how
     * far the heap of 512 MB breathes between collections; at 900 answers a second for 150 s, 2 kB
     * kept of each answer would be more.
     */
    private static void checkMemory(MemoryTrend resident) {
        double before = resident.part(1 / 3.0, 2 / 3.0).mean();
        double after = resident.part(2 / 3.0, 1).mean();
        Assert.assertTrue(after < 1.1 * before, "resident: " + resident);
    }

    private void awaitIdle() throws Exception {
        for (int i = 0; i < 300; ++i) {
            if (metric("engine_requests_running") == 0 && metric("engine_kv_blocks_used") == 0) {
                return;
            }
            Thread.sleep(100);
        }
        Assert.fail("requests are left: " + metric("engine_requests_running"));
    }
}
