/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.lora.cli.DjlLora;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.server.LoraServer;
import ai.djl.lora.server.model.ServedModel;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import javax.xml.parsers.DocumentBuilder;
import javax.xml.parsers.DocumentBuilderFactory;
import org.testng.Assert;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.Test;
import org.w3c.dom.Document;
import org.w3c.dom.NodeList;

/** {@code bench server} against a server of the demo model. */
public class ServerBenchTest {

    private static final Path DEMO = Path.of("../examples/demo").toAbsolutePath().normalize();

    private static final int REFUSED = 2;

    private LoraServer server;

    @BeforeClass
    public void start() {
        ServedModel served =
                ServedModel.load(
                        "demo",
                        DEMO.resolve("base"),
                        Map.of("dtype", "float32"),
                        SamplingParameters.greedy(32));
        served.adapters().register("upper", DEMO.resolve("upper"));
        served.adapters().register("reverse", DEMO.resolve("reverse"));
        server = LoraServer.builder().setModel(served).optAccessLog(false).build().start();
    }

    @AfterClass(alwaysRun = true)
    public void stop() {
        server.close();
    }

    /**
     * Runs the command, and returns what it prints: on its output, or where it fails its errors.
     */
    private static String run(int code, String url, String... arguments) {
        List<String> all = new ArrayList<>(List.of("bench", "server", "--url=" + url));
        all.addAll(List.of(arguments));
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        int exit =
                DjlLora.run(new PrintWriter(out), new PrintWriter(err), all.toArray(new String[0]));
        Assert.assertEquals(exit, code, out.toString() + err);
        return code == REFUSED ? err.toString() : out.toString();
    }

    private JsonObject report(int code, String... arguments) {
        List<String> all = new ArrayList<>(List.of("--json", "--connections=4"));
        all.addAll(List.of(arguments));
        String printed = run(code, server.uri().toString(), all.toArray(new String[0]));
        return JsonParser.parseString(printed).getAsJsonObject();
    }

    private static Path golden(String... lines) throws IOException {
        Path file = Files.createTempFile("golden", ".jsonl");
        Files.write(file, List.of(lines));
        return file;
    }

    private static String line(String adapter, String prompt, String expected) {
        return String.format(
                "{\"adapter\": \"%s\", \"prompt\": \"%s\", \"expected\": \"%s\"}",
                adapter, prompt, expected);
    }

    private static double number(JsonObject object, String name) {
        JsonElement value = object.get(name);
        Assert.assertTrue(
                value != null
                        && value.isJsonPrimitive()
                        && value.getAsJsonPrimitive().isNumber()
                        && value.getAsDouble() >= 0,
                name + " is " + value);
        return value.getAsDouble();
    }

    private static void checkTimes(JsonObject report) {
        for (String times : List.of("ttft_ms", "tpot_ms", "latency_ms")) {
            JsonObject shares = report.getAsJsonObject(times);
            double p50 = number(shares, "p50");
            double p90 = number(shares, "p90");
            Assert.assertTrue(0 < p50 && p50 <= p90, shares.toString());
            Assert.assertTrue(p90 <= number(shares, "p99"), shares.toString());
        }
        Assert.assertTrue(
                number(report.getAsJsonObject("ttft_ms"), "p50")
                        <= number(report.getAsJsonObject("latency_ms"), "p50"),
                report.toString());
        Assert.assertTrue(number(report, "tokens_per_second") > 0, report.toString());
    }

    @Test
    public void testNumbersAddUp() throws Exception {
        Path html = Files.createTempFile("report", ".html");
        JsonObject report = report(0, "--requests=12", "--max-new-tokens=8", "--html=" + html);
        Assert.assertEquals(report.get("model").getAsString(), "demo");
        Assert.assertEquals(number(report, "requests"), 12.0);
        Assert.assertEquals(number(report, "failures"), 0.0);
        Assert.assertFalse(report.has("checked_answers"), report.toString());
        double seconds = number(report, "seconds");
        // each request counts once
        Assert.assertEquals(number(report, "requests_per_second") * seconds, 12, 1e-6);
        checkTimes(report);
        Map<String, JsonElement> adapters = report.getAsJsonObject("by_adapter").asMap();
        Assert.assertEquals(adapters.keySet(), Set.of("base", "reverse", "upper"));
        double tokens = 0;
        for (JsonElement each : adapters.values()) {
            // in turns
            Assert.assertEquals(number(each.getAsJsonObject(), "requests"), 4.0);
            tokens += number(each.getAsJsonObject(), "tokens_per_second");
        }
        Assert.assertEquals(tokens, number(report, "tokens_per_second"), 1e-6);
        double answered = 0;
        JsonArray timeline = report.getAsJsonArray("timeline");
        for (JsonElement each : timeline) {
            answered += number(each.getAsJsonObject(), "requests_per_second");
        }
        // parts of the same length, whose ends are rounded to nanoseconds
        Assert.assertEquals(answered * seconds / timeline.size(), 12, 1e-3);
        JsonObject memory = report.getAsJsonObject("memory_bytes");
        Assert.assertTrue(number(memory, "first") > 1 << 20, memory.toString());
        Assert.assertTrue(number(memory, "most") >= number(memory, "last"), memory.toString());
        checkPage(html);
    }

    private static void checkPage(Path html) throws Exception {
        DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
        factory.setNamespaceAware(true);
        DocumentBuilder builder = factory.newDocumentBuilder();
        Document page = builder.parse(html.toFile());
        Assert.assertEquals(page.getElementsByTagName("h1").getLength(), 1);
        // the numbers, and the adapters beside each other
        Assert.assertEquals(page.getElementsByTagName("table").getLength(), 2);
        List<String> texts = new ArrayList<>();
        NodeList nodes = page.getElementsByTagNameNS("http://www.w3.org/2000/svg", "text");
        for (int i = 0; i < nodes.getLength(); ++i) {
            texts.add(nodes.item(i).getTextContent());
        }
        for (String title :
                List.of(
                        "Tokens a second",
                        "Time to first token, p99",
                        "Memory of the server",
                        "Times by share of requests")) {
            Assert.assertTrue(texts.contains(title), title + " is not among " + texts);
        }
        NodeList curves = page.getElementsByTagNameNS("http://www.w3.org/2000/svg", "polyline");
        // one in each chart, and two in that of shares
        Assert.assertEquals(curves.getLength(), 5);
        for (int i = 0; i < curves.getLength(); ++i) {
            String points = curves.item(i).getAttributes().getNamedItem("points").getNodeValue();
            Assert.assertTrue(points.matches("(-?[0-9.]+,-?[0-9.]+ ?)+"), points);
        }
    }

    @Test
    public void testWrongAnswersCount() throws Exception {
        Path golden =
                golden(
                        line("upper", "hello=", "HELLO"),
                        line("reverse", "hello=", "olleh"),
                        line("upper", "lora=", "<wrong> & more"));
        Path html = Files.createTempFile("report", ".html");
        JsonObject report = report(1, "--requests=9", "--golden=" + golden, "--html=" + html);
        Assert.assertEquals(number(report, "requests"), 9.0);
        Assert.assertEquals(number(report, "failures"), 0.0);
        Assert.assertEquals(number(report, "checked_answers"), 9.0);
        Assert.assertEquals(number(report, "right_answers"), 6.0);
        Assert.assertEquals(number(report, "right_share"), 6 / 9.0, 1e-12);
        JsonArray wrong = report.getAsJsonArray("wrong_answers");
        Assert.assertEquals(wrong.size(), 3);
        for (JsonElement each : wrong) {
            Assert.assertEquals(
                    each.toString(),
                    "{\"adapter\":\"upper\",\"prompt\":\"lora=\","
                            + "\"expected\":\"<wrong> & more\",\"answer\":\"LORA\"}");
        }
        checkPage(html);
        Path right = golden(line("upper", "hello=", "HELLO"));
        Assert.assertEquals(
                number(report(0, "--requests=2", "--golden=" + right), "right_share"), 1.0);
    }

    @Test
    public void testRefusalsCount() throws Exception {
        Path golden = golden(line("nobody", "hello=", "HELLO"), line("upper", "hello=", "HELLO"));
        JsonObject report = report(1, "--requests=8", "--golden=" + golden);
        Assert.assertEquals(number(report, "requests"), 8.0);
        Assert.assertEquals(number(report, "failures"), 4.0);
        Assert.assertEquals(
                number(report.getAsJsonObject("failures_by_reason"), "404 model_not_found"), 4.0);
        Assert.assertEquals(number(report, "right_answers"), 4.0);
        Assert.assertEquals(report.getAsJsonArray("wrong_answers").size(), 0);
        JsonObject nobody = report.getAsJsonObject("by_adapter").getAsJsonObject("nobody");
        Assert.assertEquals(number(nobody, "failures"), number(nobody, "requests"));
        // nothing was measured that is to be told
        Assert.assertFalse(nobody.has("ttft_ms"), nobody.toString());
    }

    @Test
    public void testWhatCannotBeMeasured() throws Exception {
        int port;
        try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = free.getLocalPort();
        }
        String url = "http://127.0.0.1:" + port;
        checkRefused(url, url + ": no server answers there");
        checkRefused(server.uri() + "/console", "/v1/models answers 404");
        checkRefused("no url", "--url is");
        checkRefused(server.uri().toString(), "--adapters has nobody", "--adapters=nobody");
        checkRefused(server.uri().toString(), "--connections", "--connections=0");
        Path broken = golden("{\"adapter\": \"upper\"}");
        checkRefused(server.uri().toString(), broken + ", line 1", "--golden=" + broken);
    }

    private static void checkRefused(String url, String reason, String... arguments) {
        String told = run(REFUSED, url, arguments);
        Assert.assertTrue(told.contains(reason), told);
        Assert.assertEquals(told.strip().lines().count(), 1, told);
    }
}
