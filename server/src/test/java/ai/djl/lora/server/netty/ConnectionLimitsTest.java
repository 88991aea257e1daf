/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.netty;

import ai.djl.lora.server.DemoServer;
import ai.djl.lora.server.LoraServer;
import ai.djl.lora.server.http.Method;
import ai.djl.lora.server.http.Permission;
import ai.djl.lora.server.http.Response;
import ai.djl.lora.server.http.Route;
import java.io.IOException;
import java.net.Socket;
import java.net.SocketException;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.testng.Assert;
import org.testng.annotations.Test;

/** Tests clients that take their time or too much, and a server that ends while it is asked. */
public class ConnectionLimitsTest {

    private static ConnectionLimits limits(int connections, Duration headerTime) {
        ConnectionLimits defaults = ConnectionLimits.DEFAULTS;
        return new ConnectionLimits(
                connections,
                defaults.headerBytes(),
                1000,
                defaults.uploadBytes(),
                headerTime,
                Duration.ofMillis(300),
                defaults.idleTime(),
                defaults.stallTime(),
                defaults.queuedRequests());
    }

    private static Socket connect(DemoServer demo) throws IOException {
        URI uri = demo.server().uri();
        Socket socket = new Socket(uri.getHost(), uri.getPort());
        socket.setSoTimeout(30_000);
        return socket;
    }

    private static void write(Socket socket, String text) throws IOException {
        socket.getOutputStream().write(text.getBytes(StandardCharsets.UTF_8));
        socket.getOutputStream().flush();
    }

    private static String readAll(Socket socket) throws IOException {
        return new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    }

    @Test
    public void testSlowHeadersAndContent() throws Exception {
        try (DemoServer demo =
                new DemoServer(builder -> builder.optLimits(limits(100, Duration.ofMillis(300))))) {
            try (Socket silent = connect(demo);
                    Socket slow = connect(demo);
                    Socket stuck = connect(demo)) {
                write(slow, "GET /health/live HTTP/1.1\r\nHost: loc");
                write(
                        stuck,
                        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
                                + "Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{");
                // without the limits these would wait for the test's own time-out and fail
                Assert.assertEquals(readAll(silent), "");
                Assert.assertEquals(readAll(slow), "");
                Assert.assertTrue(readAll(stuck).startsWith("HTTP/1.1 408"), "status");
            }
            Assert.assertEquals(demo.send("GET", "/health/live").statusCode(), 200);
            HttpResponse<String> large = demo.post("/v1/completions", " ".repeat(1001));
            Assert.assertEquals(large.statusCode(), 413);
        }
    }

    @Test
    public void testTooManyConnections() throws Exception {
        try (DemoServer demo =
                new DemoServer(builder -> builder.optLimits(limits(3, Duration.ofMinutes(1))))) {
            List<Socket> open = new ArrayList<>();
            try {
                String request = "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n";
                for (int i = 0; i < 3; ++i) {
                    Socket socket = connect(demo);
                    open.add(socket);
                    write(socket, request);
                    Assert.assertEquals(socket.getInputStream().read(), 'H');
                }
                try (Socket another = connect(demo)) {
                    Assert.assertEquals(another.getInputStream().read(), -1);
                } catch (SocketException e) {
                    // closed so early that it shows as a reset
                    Assert.assertTrue(e.getMessage().contains("reset"), e.getMessage());
                }
                write(open.get(0), request);
                Assert.assertTrue(open.get(0).getInputStream().read() > 0, "the others go on");
            } finally {
                for (Socket socket : open) {
                    socket.close();
                }
            }
        }
    }

    @Test
    public void testServerEndsWhenItHasAnswered() throws Exception {
        CountDownLatch asked = new CountDownLatch(1);
        CompletableFuture<Response> answer = new CompletableFuture<>();
        Route slow =
                Route.of(
                        Method.GET,
                        "/slow",
                        Permission.NONE,
                        request -> {
                            asked.countDown();
                            return answer;
                        });
        DemoServer demo =
                new DemoServer(
                        builder -> builder.addRoute(slow).optDrainPause(Duration.ofMillis(500)));
        LoraServer server = demo.server();
        CompletableFuture<HttpResponse<String>> response = new CompletableFuture<>();
        Thread client =
                new Thread(
                        () -> {
                            try {
                                response.complete(demo.send("GET", "/slow"));
                            } catch (IOException | InterruptedException e) {
                                response.completeExceptionally(e);
                            }
                        });
        client.start();
        Assert.assertTrue(asked.await(30, TimeUnit.SECONDS), "asked");
        Thread ending = new Thread(server::close);
        ending.start();
        // in the pause it says that it is not ready, and answers
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
        boolean told = false;
        while (!told && System.nanoTime() < end) {
            try {
                told =
                        demo.send(HttpRequest.newBuilder(demo.uri("/health/ready"))).statusCode()
                                == 503;
            } catch (IOException e) {
                break;
            }
        }
        answer.complete(Response.text(200, "text/plain", "at last"));
        Assert.assertEquals(response.get(30, TimeUnit.SECONDS).body(), "at last");
        ending.join(30_000);
        Assert.assertFalse(ending.isAlive(), "the server has not ended");
        Assert.assertTrue(told, "readiness was not told");
        Assert.expectThrows(IOException.class, () -> demo.send("GET", "/health/live"));
    }
}
