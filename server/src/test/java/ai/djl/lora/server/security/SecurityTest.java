/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.security;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.server.DemoServer;
import ai.djl.lora.server.LoraServer;
import ai.djl.lora.server.http.Body;
import ai.djl.lora.server.http.Failures;
import ai.djl.lora.server.http.Filter;
import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.server.http.Method;
import ai.djl.lora.server.http.Permission;
import ai.djl.lora.server.http.Request;
import ai.djl.lora.server.http.Response;
import ai.djl.lora.server.http.Route;
import java.io.IOException;
import java.io.OutputStream;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.testng.Assert;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Tests who is let in, to what, and how often, on a real server. */
public class SecurityTest {

    private static final String USER = KeyHash.newKey();
    private static final String OPERATOR = KeyHash.newKey();
    private static final String SLOW = KeyHash.newKey();

    private final AtomicLong ticker = new AtomicLong();
    private DemoServer demo;
    private TestIssuer issuer;

    @BeforeClass
    public void start() throws Exception {
        issuer = new TestIssuer();
        SecurityOptions security =
                SecurityOptions.builder()
                        .addKey(
                                new ApiKey(
                                        "user",
                                        KeyHash.of(USER),
                                        Set.of(Role.INFER),
                                        "acme",
                                        new AdapterAccess(List.of("upper", "legal-*"), false),
                                        Optional.empty()))
                        .addKey(ApiKey.of("operator", KeyHash.of(OPERATOR), Role.MANAGE))
                        .addKey(
                                new ApiKey(
                                        "slow",
                                        KeyHash.of(SLOW),
                                        Set.of(Role.INFER),
                                        "",
                                        AdapterAccess.ALL,
                                        Optional.of(new RateLimit(1, Duration.ofSeconds(10), 2))))
                        .optJwt(
                                JwtOptions.builder()
                                        .setIssuer(issuer.name())
                                        .setAudience("djl-lora")
                                        .setJwks(issuer.jwks())
                                        .optRolesClaim("realm_access.roles")
                                        .optAdaptersClaim("adapters")
                                        .build())
                        .optTicker(ticker::get)
                        .build();
        demo = new DemoServer(builder -> routes(builder).optSecurity(security));
    }

    @AfterClass(alwaysRun = true)
    public void stop() {
        if (demo != null) {
            demo.close();
        }
        issuer.close();
    }

    private static LoraServer.Builder routes(LoraServer.Builder builder) {
        return builder.addRoute(Route.of(Method.GET, "/free", Permission.NONE, SecurityTest::who))
                .addRoute(Route.of(Method.POST, "/infer", Permission.INFER, SecurityTest::who))
                .addRoute(Route.of(Method.POST, "/manage", Permission.MANAGE, SecurityTest::who))
                .addRoute(
                        Route.of(Method.PUT, "/upload", Permission.MANAGE, SecurityTest::who)
                                .asUpload());
    }

    private static CompletableFuture<Response> who(Request request) {
        String seen =
                request.caller().name()
                        + ' '
                        + request.caller().tenant()
                        + ' '
                        + request.caller().adapters().test("upper")
                        + request.caller().adapters().test("legal-de")
                        + request.caller().adapters().test("reverse")
                        + request.caller().adapters().test("");
        return CompletableFuture.completedFuture(Response.text(200, "text/plain", seen));
    }

    private HttpResponse<String> call(String method, String path, String... headers)
            throws IOException, InterruptedException {
        HttpRequest.Builder request =
                HttpRequest.newBuilder(demo.uri(path))
                        .method(method, HttpRequest.BodyPublishers.noBody());
        if (headers.length > 0) {
            request.headers(headers);
        }
        return demo.send(request);
    }

    /** Returns a route, a key, and the status that is expected. */
    @DataProvider
    public Object[][] permissions() {
        return new Object[][] {
            {"GET", "/free", null, 200},
            {"GET", "/free", "wrong", 200},
            {"POST", "/infer", null, 401},
            {"POST", "/infer", "wrong", 401},
            {"POST", "/infer", KeyHash.newKey(), 401},
            {"POST", "/infer", USER, 200},
            {"POST", "/infer", OPERATOR, 200},
            {"POST", "/manage", null, 401},
            {"POST", "/manage", USER, 403},
            {"POST", "/manage", OPERATOR, 200},
            {"PUT", "/upload", null, 401},
            {"PUT", "/upload", USER, 403},
            {"PUT", "/upload", OPERATOR, 200},
            {"GET", "/health/live", null, 200},
        };
    }

    @Test(dataProvider = "permissions")
    public void testPermissions(String method, String path, String key, int status)
            throws Exception {
        HttpResponse<String> bearer =
                key == null
                        ? call(method, path)
                        : call(method, path, "Authorization", "Bearer " + key);
        Assert.assertEquals(bearer.statusCode(), status, bearer.body());
        if (key != null) {
            Assert.assertEquals(call(method, path, "X-API-Key", key).statusCode(), status);
        }
        if (status == 401) {
            Assert.assertTrue(
                    bearer.headers().firstValue("WWW-Authenticate").orElse("").startsWith("Bearer"),
                    bearer.headers().toString());
            Assert.assertTrue(bearer.body().contains("authentication_error"), bearer.body());
        }
        Assert.assertTrue(bearer.headers().firstValue("X-Request-Id").isPresent(), "request id");
    }

    @Test
    public void testWhatAKeySays() throws Exception {
        Assert.assertEquals(
                call("POST", "/infer", "X-API-Key", USER).body(), "user acme truetruefalsefalse");
        Assert.assertEquals(
                call("POST", "/infer", "X-API-Key", OPERATOR).body(), "operator  truetruetruetrue");
    }

    @Test
    public void testCredentialsThatDisagreeOrAreOfAnotherKind() throws Exception {
        Assert.assertEquals(
                call("POST", "/infer", "X-API-Key", USER, "Authorization", "Bearer " + OPERATOR)
                        .statusCode(),
                401);
        Assert.assertEquals(
                call("POST", "/infer", "Authorization", "Basic dXNlcjpwYXNz").statusCode(), 401);
        Assert.assertEquals(
                call("POST", "/infer", "X-API-Key", USER, "X-API-Key", USER).statusCode(), 400);
    }

    @Test
    public void testUploadIsRefusedBeforeItsContent() throws Exception {
        URI uri = demo.server().uri();
        try (Socket socket = new Socket(uri.getHost(), uri.getPort())) {
            socket.setSoTimeout(20_000);
            OutputStream out = socket.getOutputStream();
            out.write(
                    ("PUT /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n"
                                    + "Expect: 100-continue\r\n\r\n")
                            .getBytes(StandardCharsets.UTF_8));
            byte[] answer = new byte[12];
            Assert.assertEquals(socket.getInputStream().readNBytes(answer, 0, 12), 12);
            Assert.assertEquals(new String(answer, StandardCharsets.UTF_8), "HTTP/1.1 401");
        }
    }

    @Test
    public void testUploadWithItsContentAtOnce() throws Exception {
        HttpResponse<String> answer =
                demo.send(
                        HttpRequest.newBuilder(demo.uri("/upload"))
                                .header("X-API-Key", OPERATOR)
                                .PUT(HttpRequest.BodyPublishers.ofByteArray(new byte[200_000])));
        Assert.assertEquals(answer.statusCode(), 200, answer.body());
    }

    /** Returns tokens, and what is said of them. */
    @DataProvider
    public Object[][] tokens() throws Exception {
        return new Object[][] {
            {issuer.token(builder -> builder), 200, "jwt:alice acme truefalsefalsefalse"},
            {issuer.token(builder -> builder.claim("adapters", null)), 200, "falsefalse"},
            {issuer.token(builder -> builder.issuer("https://other")), 401, "another issuer"},
            {issuer.token(builder -> builder.audience("other")), 401, "another audience"},
            {issuer.token(TestIssuer.expiredBy(Duration.ofMinutes(2))), 401, "has expired"},
            {issuer.token(TestIssuer.expiredBy(Duration.ofSeconds(10))), 200, "jwt:alice"},
            {issuer.token(builder -> builder.expirationTime(null)), 401, "is missing"},
            {issuer.token(builder -> builder.subject(null)), 401, "is missing"},
            {issuer.foreignToken(), 401, "signature does not hold"},
            {issuer.unsignedToken(), 401, "key is not known"},
            {issuer.sharedSecretToken(), 401, "signature does not hold"},
            {issuer.token(builder -> builder.claim("realm_access", null)), 403, "role infer"},
            {"a.b.c", 401, "key is not known"},
        };
    }

    @Test(dataProvider = "tokens")
    public void testTokens(String token, int status, String said) throws Exception {
        HttpResponse<String> answer = call("POST", "/infer", "Authorization", "Bearer " + token);
        Assert.assertEquals(answer.statusCode(), status, answer.body());
        Assert.assertTrue(answer.body().contains(said), answer.body());
        Assert.assertFalse(answer.body().contains(token), "an answer shows a token");
    }

    @Test
    public void testIssuersKeysAreKept() throws Exception {
        for (int i = 0; i < 5; ++i) {
            String token = issuer.token(builder -> builder);
            Assert.assertEquals(
                    call("POST", "/infer", "Authorization", "Bearer " + token).statusCode(), 200);
        }
        // one at the first token, and one for a key that was not known
        Assert.assertTrue(issuer.fetches() <= 3, "fetches: " + issuer.fetches());
    }

    @Test
    public void testIssuerThatCannotBeReached() {
        JwtAuthenticator authenticator =
                new JwtAuthenticator(
                        JwtOptions.builder()
                                .setIssuer(issuer.name())
                                .setAudience("djl-lora")
                                .setJwks(URI.create("http://127.0.0.1:1/keys"))
                                .build());
        HttpFailure failure =
                Assert.expectThrows(
                        HttpFailure.class,
                        () -> authenticator.authenticate(issuer.token(builder -> builder)));
        Assert.assertEquals(failure.status(), 503);
        Assert.assertFalse(failure.getMessage().contains("127.0.0.1"), failure.getMessage());
    }

    @Test
    public void testKeysAreFetchedSafely() {
        JwtOptions.Builder builder =
                JwtOptions.builder()
                        .setIssuer("i")
                        .setAudience("a")
                        .setJwks(URI.create("http://192.0.2.1/keys"));
        Assert.expectThrows(LoraConfigurationException.class, builder::build);
    }

    @Test
    public void testRateOfAKey() throws Exception {
        Assert.assertEquals(call("POST", "/infer", "X-API-Key", SLOW).statusCode(), 200);
        Assert.assertEquals(call("POST", "/infer", "X-API-Key", SLOW).statusCode(), 200);
        HttpResponse<String> refused = call("POST", "/infer", "X-API-Key", SLOW);
        Assert.assertEquals(refused.statusCode(), 429);
        Assert.assertEquals(refused.headers().firstValue("Retry-After").orElse(""), "10");
        Assert.assertEquals(call("POST", "/infer", "X-API-Key", USER).statusCode(), 200);
        ticker.addAndGet(TimeUnit.MILLISECONDS.toNanos(9_999));
        Assert.assertEquals(call("POST", "/infer", "X-API-Key", SLOW).statusCode(), 429);
        ticker.addAndGet(TimeUnit.MILLISECONDS.toNanos(1));
        Assert.assertEquals(call("POST", "/infer", "X-API-Key", SLOW).statusCode(), 200);
        Assert.assertEquals(call("POST", "/infer", "X-API-Key", SLOW).statusCode(), 429);
    }

    @Test
    public void testRatesOfAllAndOfAdapters() throws Exception {
        AtomicLong clock = new AtomicLong();
        RateLimit one = new RateLimit(1, Duration.ofSeconds(1), 1);
        RateLimit two = new RateLimit(2, Duration.ofSeconds(1), 2);
        RateLimits limits =
                new RateLimits(
                        new RateLimitOptions(
                                Optional.of(two),
                                Optional.of(one),
                                Optional.of(one),
                                Map.of("many", new RateLimit(3, Duration.ofSeconds(1), 3))),
                        List.of(),
                        clock::get);
        var first = java.net.InetAddress.getByName("192.0.2.1");
        var second = java.net.InetAddress.getByName("192.0.2.2");
        var third = java.net.InetAddress.getByName("192.0.2.3");
        var anybody = ai.djl.lora.server.http.Caller.ANYBODY;
        limits.admit(anybody, first);
        Assert.expectThrows(HttpFailure.class, () -> limits.admit(anybody, first));
        limits.admit(anybody, second);
        HttpFailure all =
                Assert.expectThrows(HttpFailure.class, () -> limits.admit(anybody, third));
        Assert.assertTrue(all.getMessage().contains("all callers"), all.getMessage());
        // what all callers together were refused does not count against the caller
        clock.addAndGet(TimeUnit.MILLISECONDS.toNanos(500));
        limits.admit(anybody, third);
        limits.admitAdapter("upper");
        Assert.expectThrows(HttpFailure.class, () -> limits.admitAdapter("upper"));
        limits.admitAdapter("reverse");
        for (int i = 0; i < 3; ++i) {
            limits.admitAdapter("many");
        }
        Assert.expectThrows(HttpFailure.class, () -> limits.admitAdapter("many"));
    }

    @Test
    public void testOffOnlyOnThisMachine() throws Exception {
        try (var model = DemoServer.model()) {
            LoraServer.Builder open = LoraServer.builder().setModel(model).optHost("0.0.0.0");
            LoraConfigurationException refusal =
                    Assert.expectThrows(LoraConfigurationException.class, open::build);
            Assert.assertTrue(
                    refusal.getMessage().contains("no keys are set"), refusal.getMessage());
            LoraServer.Builder management =
                    LoraServer.builder().setModel(model).optManagementHost("0.0.0.0");
            Assert.expectThrows(LoraConfigurationException.class, management::build);
        }
    }

    @Test
    public void testManagementHasAPortOfItsOwn() throws Exception {
        SecurityOptions security =
                SecurityOptions.builder()
                        .addKey(ApiKey.of("operator", KeyHash.of(OPERATOR), Role.MANAGE))
                        .build();
        try (DemoServer open =
                new DemoServer(
                        builder -> routes(builder).optHost("0.0.0.0").optSecurity(security))) {
            String main = "http://127.0.0.1:" + open.server().uri().getPort();
            String management = open.server().managementUri().toString();
            Assert.assertTrue(management.startsWith("http://127.0.0.1:"), management);
            Assert.assertNotEquals(management, main);
            Assert.assertEquals(statusAt(open, main + "/infer"), 200);
            Assert.assertEquals(statusAt(open, main + "/manage"), 404);
            Assert.assertEquals(statusAt(open, management + "/manage"), 200);
            Assert.assertEquals(statusAt(open, management + "/infer"), 200);
        }
    }

    private static int statusAt(DemoServer server, String uri) throws Exception {
        return server.send(
                        HttpRequest.newBuilder(URI.create(uri))
                                .header("X-API-Key", OPERATOR)
                                .POST(HttpRequest.BodyPublishers.noBody()))
                .statusCode();
    }

    @Test
    public void testPagesOfTheWebAreRefusedWithoutKeys() throws Exception {
        try (DemoServer open = new DemoServer(SecurityTest::routes)) {
            HttpRequest.Builder plain =
                    HttpRequest.newBuilder(open.uri("/manage"))
                            .POST(HttpRequest.BodyPublishers.noBody());
            Assert.assertEquals(open.send(plain.copy()).statusCode(), 200);
            Assert.assertEquals(
                    open.send(plain.copy().header("Origin", "http://localhost:3000")).statusCode(),
                    200);
            Assert.assertEquals(
                    open.send(plain.copy().header("Origin", "https://evil.example")).statusCode(),
                    403);
            URI uri = open.server().uri();
            try (Socket socket = new Socket(uri.getHost(), uri.getPort())) {
                socket.setSoTimeout(20_000);
                socket.getOutputStream()
                        .write(
                                ("POST /manage HTTP/1.1\r\nHost: evil.example\r\n"
                                                + "Connection: close\r\n\r\n")
                                        .getBytes(StandardCharsets.UTF_8));
                String answer =
                        new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
                Assert.assertTrue(answer.startsWith("HTTP/1.1 403"), answer);
            }
        }
    }

    /** The example of docs/security.md. */
    @Test
    public void testContentRule() throws Exception {
        Filter noSecrets =
                (request, route, next) -> {
                    if (request.body() instanceof Body.InMemory body
                            && body.text().contains("BEGIN PRIVATE KEY")) {
                        throw new HttpFailure(400, "content_refused", "the text has a private key");
                    }
                    return next.handle(request);
                };
        try (DemoServer server = new DemoServer(builder -> builder.addFilter(noSecrets))) {
            String text = "{'model':'upper','prompt':'%s','max_tokens':4}";
            HttpResponse<String> refused =
                    server.post("/v1/completions", text.formatted("-----BEGIN PRIVATE KEY-----"));
            Assert.assertEquals(refused.statusCode(), 400);
            Assert.assertTrue(refused.body().contains("content_refused"), refused.body());
            Assert.assertEquals(
                    server.post("/v1/completions", text.formatted("hello=")).statusCode(), 200);
        }
    }

    @Test
    public void testNoPathOfTheServerInAnError() {
        HttpFailure told =
                Failures.of(
                        "id",
                        new LoraConfigurationException(
                                "/srv/models/upper/adapter_config.json: r is 0; see"
                                        + " https://example.org/a/b"));
        Assert.assertEquals(
                told.getMessage(), "adapter_config.json: r is 0; see https://example.org/a/b");
        Assert.assertEquals(
                Failures.withoutPaths("there is no /v1 here, a/b and 1/2 stay"),
                "there is no /v1 here, a/b and 1/2 stay");
    }

    @Test
    public void testKeyHashes() {
        String key = KeyHash.newKey();
        Assert.assertTrue(
                KeyHash.parse(KeyHash.of(key).toString()).matches(KeyHash.sha256(key)), "matches");
        Assert.expectThrows(LoraConfigurationException.class, () -> KeyHash.of("short"));
        LoraConfigurationException refusal =
                Assert.expectThrows(LoraConfigurationException.class, () -> KeyHash.parse(key));
        Assert.assertFalse(refusal.getMessage().contains(key), "a message shows a key");
    }
}
