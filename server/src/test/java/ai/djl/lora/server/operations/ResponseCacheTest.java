/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.operations;

import ai.djl.lora.server.DemoServer;
import ai.djl.lora.server.security.AdapterAccess;
import ai.djl.lora.server.security.ApiKey;
import ai.djl.lora.server.security.KeyHash;
import ai.djl.lora.server.security.Role;
import ai.djl.lora.server.security.SecurityOptions;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.testng.Assert;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.Test;

/** Tests which answers are given again, and which are not. */
public class ResponseCacheTest {

    private static final String ALL = KeyHash.newKey();
    private static final String SOME = KeyHash.newKey();

    private DemoServer demo;

    @BeforeClass
    public void start() throws Exception {
        SecurityOptions security =
                SecurityOptions.builder()
                        .addKey(ApiKey.of("all", KeyHash.of(ALL), Role.INFER))
                        .addKey(
                                new ApiKey(
                                        "some",
                                        KeyHash.of(SOME),
                                        Set.of(Role.INFER),
                                        "",
                                        new AdapterAccess(List.of("reverse"), true),
                                        Optional.empty()))
                        .build();
        demo =
                new DemoServer(
                        builder ->
                                builder.optSecurity(security)
                                        .optResponseCache(1 << 20, Duration.ofHours(1)));
    }

    @AfterClass(alwaysRun = true)
    public void stop() {
        demo.close();
    }

    private HttpResponse<String> ask(String key, String adapter, String fields) throws Exception {
        String body = "{'model':'" + adapter + "','prompt':'hello='," + fields + "}";
        return demo.send(
                HttpRequest.newBuilder(demo.uri("/v1/completions"))
                        .header("Content-Type", "application/json")
                        .header("X-API-Key", key)
                        .POST(HttpRequest.BodyPublishers.ofString(body.replace('\'', '"'))));
    }

    private static String cached(HttpResponse<String> response) {
        return response.headers().firstValue("X-Cache").orElse("none");
    }

    @Test
    public void testSameRequestIsAnsweredAgain() throws Exception {
        HttpResponse<String> first = ask(ALL, "upper", "'temperature':0,'max_tokens':9");
        Assert.assertEquals(first.statusCode(), 200, first.body());
        Assert.assertEquals(cached(first), "miss");
        HttpResponse<String> again = ask(ALL, "upper", "'temperature':0,'max_tokens':9");
        Assert.assertEquals(cached(again), "hit");
        Assert.assertEquals(again.body(), first.body());
        Assert.assertEquals(
                again.headers().firstValue("X-Adapter-Revision"),
                first.headers().firstValue("X-Adapter-Revision"));
        Assert.assertNotEquals(
                again.headers().firstValue("X-Request-Id"),
                first.headers().firstValue("X-Request-Id"));
    }

    @Test
    public void testWhatHasNoSingleAnswerIsNotKept() throws Exception {
        for (String fields : List.of("'temperature':1", "'temperature':0,'stream':true")) {
            for (int i = 0; i < 2; ++i) {
                Assert.assertEquals(cached(ask(ALL, "reverse", fields)), "none", fields);
            }
        }
        Assert.assertEquals(cached(ask(ALL, "reverse", "'temperature':1,'seed':4")), "miss");
        Assert.assertEquals(cached(ask(ALL, "reverse", "'temperature':1,'seed':4")), "hit");
        Assert.assertEquals(cached(ask(ALL, "reverse", "'temperature':1,'seed':5")), "miss");
    }

    @Test
    public void testWhoMayNotUseAnAdapterIsNotAnswered() throws Exception {
        String fields = "'temperature':0,'max_tokens':5";
        Assert.assertEquals(ask(ALL, "upper", fields).statusCode(), 200);
        Assert.assertEquals(ask(SOME, "upper", fields).statusCode(), 404);
    }

    @Test(dependsOnMethods = {"testSameRequestIsAnsweredAgain"})
    public void testAnotherRevisionIsNeverAnsweredFromTheOld() throws Exception {
        String fields = "'temperature':0,'max_tokens':7";
        String before = ask(ALL, "upper", fields).body();
        Assert.assertEquals(cached(ask(ALL, "upper", fields)), "hit");
        demo.server().model().adapters().replace("upper", DemoServer.FOLDER.resolve("reverse"));
        HttpResponse<String> after = ask(ALL, "upper", fields);
        Assert.assertEquals(cached(after), "miss");
        Assert.assertTrue(before.contains("HELLO"), before);
        Assert.assertTrue(after.body().contains("olleh"), after.body());
        demo.server().model().adapters().rollback("upper");
        // the first revision's answer is that of the first revision again
        HttpResponse<String> back = ask(ALL, "upper", fields);
        Assert.assertTrue(back.body().contains("HELLO"), back.body());
    }
}
