/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.operations;

import ai.djl.lora.server.http.Dispatcher;
import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.server.http.Method;
import ai.djl.lora.server.http.Observers;
import ai.djl.lora.server.http.Permission;
import ai.djl.lora.server.http.Response;
import ai.djl.lora.server.http.Route;
import ai.djl.lora.server.http.Router;
import ai.djl.lora.server.netty.ConnectionLimits;
import ai.djl.lora.server.netty.HttpServer;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.slf4j.event.SubstituteLoggingEvent;
import org.slf4j.helpers.SubstituteLogger;
import org.testng.Assert;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Requests that no route sees are noted, on a real server. */
public class AccessLogTest {

    private final LinkedBlockingQueue<SubstituteLoggingEvent> lines = new LinkedBlockingQueue<>();
    private AccessLog log;
    private HttpServer server;
    private InetSocketAddress address;

    @BeforeClass
    public void start() {
        log = new AccessLog(new SubstituteLogger("test", lines, false));
        ConnectionLimits limits = ConnectionLimits.DEFAULTS;
        server =
                new HttpServer(
                        new ConnectionLimits(
                                limits.connections(),
                                1000,
                                100,
                                limits.uploadBytes(),
                                limits.headerTime(),
                                limits.bodyTime(),
                                limits.idleTime(),
                                limits.stallTime(),
                                limits.queuedRequests()));
        Router router =
                new Router(
                        List.of(
                                Route.json(
                                        Method.POST,
                                        "/things/{id}",
                                        Permission.INFER,
                                        request ->
                                                CompletableFuture.completedFuture(
                                                        Response.text(200, "text/plain", "done"))),
                                Route.of(
                                                Method.PUT,
                                                "/upload",
                                                Permission.MANAGE,
                                                request -> CompletableFuture.completedFuture(null))
                                        .asUpload()));
        Dispatcher dispatcher =
                new Dispatcher(
                        router,
                        List.of(),
                        (request, route) -> {
                            throw new HttpFailure(401, "invalid_api_key", "no key");
                        },
                        new Observers(List.of(log, new AuditLog())));
        address =
                server.listen(
                        new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
                        dispatcher,
                        null);
    }

    @AfterClass(alwaysRun = true)
    public void stop() {
        if (server != null) {
            server.close();
            log.close();
        }
    }

    /** Returns requests, their status, and the method, the route and the reason that are noted. */
    @DataProvider
    public Object[][] refusals() {
        String json = "Content-Type: application/json\r\n";
        return new Object[][] {
            {"GET /secret-path HTTP/1.1\r\n", 404, "GET", null, "not_found"},
            {"BREW /things/a HTTP/1.1\r\n", 405, "BREW", null, "method_not_allowed"},
            {"HEAD /things/a HTTP/1.1\r\n", 405, "HEAD", null, "method_not_allowed"},
            {"GET /things/%zz HTTP/1.1\r\n", 400, "GET", null, "invalid_path"},
            {
                "POST /things/secret HTTP/1.1\r\n" + json + "Content-Length: 101\r\n",
                413,
                "POST",
                "/things/{id}",
                "body_too_large"
            },
            {
                "POST /things/secret HTTP/1.1\r\n",
                415,
                "POST",
                "/things/{id}",
                "unsupported_media_type"
            },
            {"PUT /upload HTTP/1.1\r\n", 401, "PUT", "/upload", "invalid_api_key"},
            {"nonsense\r\n", 400, null, null, "malformed_request"},
            {
                "GET / HTTP/1.1\r\nX-Long: " + "x".repeat(2000) + "\r\n",
                431,
                null,
                null,
                "headers_too_large"
            },
        };
    }

    @Test(dataProvider = "refusals")
    public void testRefusal(String request, int status, String method, String route, String reason)
            throws Exception {
        lines.clear();
        String answer = send(request + "Host: localhost\r\nX-Request-Id: mine\r\n\r\n");
        Assert.assertTrue(answer.startsWith("HTTP/1.1 " + status + ' '), answer);
        SubstituteLoggingEvent event = lines.poll(30, TimeUnit.SECONDS);
        Assert.assertNotNull(event, "nothing was noted");
        String text = event.getArguments().get(0).toString();
        JsonObject line = JsonParser.parseString(text).getAsJsonObject();
        Assert.assertEquals(line.get("status").getAsInt(), status);
        Assert.assertEquals(line.get("reason").getAsString(), reason);
        Assert.assertEquals(line.get("end").getAsString(), "refused");
        Assert.assertEquals(line.has("method") ? line.get("method").getAsString() : null, method);
        Assert.assertEquals(line.has("route") ? line.get("route").getAsString() : null, route);
        String id = line.get("request").getAsString();
        Assert.assertTrue(
                answer.toLowerCase(java.util.Locale.ROOT).contains("x-request-id: " + id), answer);
        if (method != null) {
            Assert.assertEquals(id, "mine");
        }
        Assert.assertEquals(line.get("remote").getAsString(), "127.0.0.1");
        Assert.assertFalse(text.contains("secret"), text);
        Assert.assertTrue(lines.isEmpty(), "noted twice");
    }

    private String send(String request) throws IOException {
        try (Socket socket = new Socket(address.getAddress(), address.getPort())) {
            socket.setSoTimeout(30_000);
            socket.getOutputStream().write(request.getBytes(StandardCharsets.UTF_8));
            return new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        }
    }
}
