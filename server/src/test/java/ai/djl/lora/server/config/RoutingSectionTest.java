/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.config;

import ai.djl.lora.server.DemoServer;
import ai.djl.lora.server.LoraServer;
import ai.djl.lora.server.http.Caller;
import ai.djl.lora.server.http.Permission;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.testng.Assert;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** What a server's file says of routing, on a server that was made of it. */
public class RoutingSectionTest {

    private LoraServer server;

    private static Path file(String text) throws IOException {
        Path file = Files.createTempDirectory("config").resolve("server.yaml");
        Files.writeString(file, text);
        return file;
    }

    @BeforeClass
    public void start() throws Exception {
        Path file =
                file(
                        """
                        port: 0
                        routing:
                          rules:
                            - {tenant: acme, header: X-Task, equals: back, adapter: reverse}
                            - {tenant: acme, adapter: upper}
                            - {header: X-Any, adapter: upper}
                            - {field: meta.task, equals: "7", adapter: upper}
                            - {prefix: "back", field: meta.back, adapter: reverse}
                            - {header: X-Gone, adapter: gone}
                            - {header: X-Trial, percentage: 50, adapter: reverse}
                            - {header: X-Base, adapter: ""}
                          default: upper
                          fallback: reverse
                          strip: [note]
                        """);
        Assert.assertEquals(ServerConfig.check(file), List.of());
        server =
                ServerConfig.read(file)
                        .builder()
                        .addFilter(
                                (request, route, next) ->
                                        next.handle(
                                                request.from(
                                                        new Caller(
                                                                "test",
                                                                request.header("x-whose").orElse(""),
                                                                Set.of(Permission.INFER),
                                                                name -> true))))
                        .setModel(DemoServer.model("upper", "reverse"))
                        .build()
                        .start();
    }

    @AfterClass(alwaysRun = true)
    public void stop() {
        if (server != null) {
            server.close();
        }
    }

    private HttpResponse<String> send(String body, String... headers) throws Exception {
        HttpRequest.Builder request =
                HttpRequest.newBuilder(URI.create(server.uri() + "/v1/completions"))
                        .header("Content-Type", "application/json")
                        .POST(HttpRequest.BodyPublishers.ofString(body.replace('\'', '"')));
        if (headers.length > 0) {
            request.headers(headers);
        }
        return HttpClient.newHttpClient()
                .send(request.build(), HttpResponse.BodyHandlers.ofString());
    }

    /** Returns what is added to a request, its headers, and the adapter that is to answer. */
    @DataProvider
    public Object[][] requests() {
        return new Object[][] {
            {"", new String[] {"X-Whose", "acme", "X-Task", "back"}, "reverse"},
            {"", new String[] {"X-Whose", "acme", "X-Task", "other"}, "upper"},
            {"", new String[] {"X-Base", "", "X-Task", "back"}, ""},
            {"", new String[] {"X-Base", "1", "X-Any", "anything"}, "upper"},
            {",'meta':{'task':7}", new String[] {"X-Base", "1"}, "upper"},
            {",'meta':{'task':'7'}", new String[] {"X-Base", "1"}, "upper"},
            {",'meta':{'task':8}", new String[] {"X-Base", "1"}, ""},
            {",'meta':{'back':false}", new String[] {"X-Base", "1"}, "reverse"},
            {"", new String[] {"X-Gone", "1"}, "reverse"},
            {",'note':[1,{}]", new String[0], "upper"},
            {",'adapter':''", new String[] {"X-Any", "1"}, ""},
        };
    }

    @Test(dataProvider = "requests")
    public void testRules(String more, String[] headers, String adapter) throws Exception {
        HttpResponse<String> answer =
                send("{'prompt':'back=','max_tokens':1" + more + "}", headers);
        Assert.assertEquals(answer.statusCode(), 200, answer.body());
        Assert.assertEquals(answer.headers().firstValue("X-Adapter").orElse(null), adapter);
    }

    @Test
    public void testShare() throws Exception {
        Set<String> all = new HashSet<>();
        for (int i = 0; i < 32; ++i) {
            String[] headers = {"X-Trial", "1", "X-Base", "1", "X-Session-Id", "s" + i};
            HttpResponse<String> answer = send("{'prompt':'a','max_tokens':1}", headers);
            all.add(answer.headers().firstValue("X-Adapter").orElse(null));
        }
        // sessions are hashed, so this is the same each time
        Assert.assertEquals(all, Set.of("", "reverse"));
    }

    @Test
    public void testFieldThatCannotBeCompared() throws Exception {
        for (String wrong : List.of("{'task':[]}", "{'task':{}}", "1", "[]")) {
            HttpResponse<String> answer = send("{'prompt':'a','meta':" + wrong + "}");
            Assert.assertEquals(answer.statusCode(), 400, wrong);
            Assert.assertTrue(answer.body().contains("meta"), answer.body());
        }
    }

    @Test
    public void testMistakes() throws Exception {
        List<String> lines =
                ServerConfig.check(
                        file(
                                """
                                routing:
                                  rules:
                                    - {tenant: acme}
                                    - {adapter: upper}
                                    - {header: a, field: b, adapter: upper}
                                    - {prefix: a, equals: b, adapter: upper}
                                    - {percentage: 0, adapter: upper}
                                    - {percentage: 101, adapter: upper}
                                    - {tennant: a, adapter: upper}
                                    - upper
                                  defualt: upper
                                  strip: note
                                """));
        String told = String.join("\n", lines);
        for (String wanted :
                List.of(
                        ":3: routing.rules[0].adapter is missing",
                        ":4: a rule has no condition",
                        ":5: routing.rules[2].field and header are both given",
                        ":6: routing.rules[3].equals needs header or field",
                        ":7: routing.rules[4].percentage is \"0\"",
                        ":8: routing.rules[5].percentage is \"101\"",
                        ":9: unknown key \"routing.rules[6].tennant\"; nearest are tenant",
                        ":10: routing.rules[7] must be a mapping",
                        ":11: unknown key \"routing.defualt\"; nearest are default",
                        ":12: routing.strip")) {
            Assert.assertTrue(told.contains(wanted), wanted + " is not in\n" + told);
        }
    }
}
