/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.server.http.Method;
import ai.djl.lora.server.http.Permission;
import ai.djl.lora.server.http.Response;
import ai.djl.lora.server.http.Route;
import ai.djl.lora.server.model.ServedModel;
import ai.djl.lora.translate.TextChunk;
import ai.djl.lora.translate.TextRequest;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Flow;
import java.util.concurrent.TimeUnit;
import org.testng.Assert;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.Test;

/** Tests what connections and routes do, whatever is served. */
public class LoraServerTest {

    private final CountDownLatch cancelled = new CountDownLatch(1);
    private DemoServer demo;

    @BeforeClass
    public void start() throws Exception {
        demo =
                new DemoServer(
                        builder ->
                                builder.addRoute(
                                                Route.json(
                                                        Method.POST,
                                                        "/echo/{name}",
                                                        Permission.NONE,
                                                        request ->
                                                                CompletableFuture.completedFuture(
                                                                        Response.text(
                                                                                200,
                                                                                "text/plain",
                                                                                request.variable(
                                                                                                "name")
                                                                                        + request.body()
                                                                                                .length()))))
                                        .addRoute(
                                                Route.of(
                                                        Method.GET,
                                                        "/endless",
                                                        Permission.NONE,
                                                        request ->
                                                                CompletableFuture.completedFuture(
                                                                        new Response.Streamed(
                                                                                200, Map.of(),
                                                                                endless())))));
    }

    @AfterClass(alwaysRun = true)
    public void stop() {
        demo.close();
    }

    private Flow.Publisher<byte[]> endless() {
        return subscriber ->
                subscriber.onSubscribe(
                        new Flow.Subscription() {
                            @Override
                            public void request(long n) {
                                CompletableFuture.runAsync(() -> subscriber.onNext(new byte[1024]));
                            }

                            @Override
                            public void cancel() {
                                cancelled.countDown();
                            }
                        });
    }

    @Test
    public void testRoutes() throws Exception {
        Assert.assertEquals(demo.send("GET", "/health/live").body(), "{\"status\":\"alive\"}");
        Assert.assertEquals(demo.send("GET", "/health/ready").statusCode(), 200);
        HttpResponse<String> head = demo.send("HEAD", "/health/live");
        Assert.assertEquals(head.statusCode(), 200);
        Assert.assertEquals(head.body(), "");
        Assert.assertTrue(head.headers().firstValue("X-Request-Id").isPresent());
        Assert.assertEquals(demo.post("/echo/a%2Fb+c", "{}").body(), "a/b+c2");
        HttpResponse<String> missing = demo.send("GET", "/nothing");
        Assert.assertEquals(missing.statusCode(), 404);
        Assert.assertTrue(missing.body().contains("there is no /nothing here"), missing.body());
        HttpResponse<String> method = demo.send("DELETE", "/health/live");
        Assert.assertEquals(method.statusCode(), 405);
        Assert.assertEquals(method.headers().firstValue("Allow").orElse(""), "GET, HEAD");
        Assert.assertEquals(demo.send("POST", "/echo/a").statusCode(), 415);
    }

    @Test
    public void testLongBodyIsRefusedAndTheAnswerArrives() throws Exception {
        HttpResponse<String> answer = demo.post("/echo/a", " ".repeat(9 << 20));
        Assert.assertEquals(answer.statusCode(), 413);
        Assert.assertTrue(answer.body().contains("allowed are 8388608"), answer.body());
    }

    @Test
    public void testRequestsInOneGo() throws IOException {
        String one =
                "POST /echo/x HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
                        + "Content-Length: 2\r\n\r\n{}";
        String last = one.replace("Host: h", "Host: h\r\nConnection: close");
        String answer = raw(one + one + last);
        Assert.assertEquals(answer.split("HTTP/1.1 200 OK", -1).length, 4, answer);
    }

    @Test
    public void testWhatIsNotHttp() throws IOException {
        Assert.assertTrue(raw("\r\n\r\nnonsense\r\n\r\n").startsWith("HTTP/1.1 400"), "status");
        String path = "POST /echo/%zz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
        Assert.assertTrue(raw(path).startsWith("HTTP/1.1 400"), "status");
        String headers = "GET /health/live HTTP/1.1\r\nX: " + "x".repeat(20_000) + "\r\n\r\n";
        Assert.assertTrue(raw(headers).startsWith("HTTP/1.1 431"), "status");
    }

    private String raw(String text) throws IOException {
        URI uri = demo.server().uri();
        try (Socket socket = new Socket(uri.getHost(), uri.getPort())) {
            socket.setSoTimeout(20_000);
            OutputStream out = socket.getOutputStream();
            out.write(text.getBytes(StandardCharsets.UTF_8));
            out.flush();
            return new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    @Test
    public void testClientThatGoesCancels() throws Exception {
        URI uri = demo.server().uri();
        try (Socket socket = new Socket(uri.getHost(), uri.getPort())) {
            socket.getOutputStream()
                    .write(
                            "GET /endless HTTP/1.1\r\nHost: h\r\n\r\n"
                                    .getBytes(StandardCharsets.UTF_8));
            InputStream in = socket.getInputStream();
            BufferedReader reader =
                    new BufferedReader(new InputStreamReader(in, StandardCharsets.ISO_8859_1));
            Assert.assertEquals(reader.readLine(), "HTTP/1.1 200 OK");
        }
        Assert.assertTrue(cancelled.await(30, TimeUnit.SECONDS), "cancelled");
    }

    @Test
    public void testAServerThatCannotListenIsClosed() throws Exception {
        ServedModel model = DemoServer.model();
        LoraServer second =
                LoraServer.builder().setModel(model).optPort(demo.server().uri().getPort()).build();
        LoraConfigurationException failure =
                Assert.expectThrows(LoraConfigurationException.class, second::start);
        Assert.assertTrue(failure.getMessage().contains("cannot listen on"), failure.getMessage());
        Assert.assertFalse(second.isReady());
        // its model is closed too, and the first server goes on
        Assert.assertThrows(
                IllegalStateException.class,
                () -> model.text().begin(new TextRequest("hello=", "")));
        Assert.assertEquals(demo.send("GET", "/health/ready").statusCode(), 200);
    }

    @Test
    public void testChunksOfAnAnswer() throws Exception {
        var answers = demo.server().model().text().begin(new TextRequest("hello=", "upper"));
        StringBuilder text = new StringBuilder();
        CompletableFuture<Void> end = new CompletableFuture<>();
        answers.chunks(0)
                .subscribe(
                        new Flow.Subscriber<>() {
                            @Override
                            public void onSubscribe(Flow.Subscription subscription) {
                                subscription.request(Long.MAX_VALUE);
                            }

                            @Override
                            public void onNext(TextChunk chunk) {
                                text.append(chunk.text());
                            }

                            @Override
                            public void onError(Throwable failure) {
                                end.completeExceptionally(failure);
                            }

                            @Override
                            public void onComplete() {
                                end.complete(null);
                            }
                        });
        end.get(30, TimeUnit.SECONDS);
        Assert.assertEquals(text.toString(), "HELLO");
        Assert.assertEquals(answers.result().get(30, TimeUnit.SECONDS).text(), "HELLO");
        Assert.assertEquals(Set.of("demo"), Set.of(demo.server().model().name()));
    }
}
