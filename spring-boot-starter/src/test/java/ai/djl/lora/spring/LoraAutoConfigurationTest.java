/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.spring;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.server.LoraServer;
import ai.djl.lora.server.http.Method;
import ai.djl.lora.server.http.Permission;
import ai.djl.lora.server.http.Response;
import ai.djl.lora.server.http.Route;
import java.io.IOException;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicReference;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.health.contributor.HealthIndicator;
import org.springframework.boot.health.contributor.Status;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.context.ApplicationContext;
import org.testng.Assert;
import org.testng.annotations.Test;

/** Starts applications with the starter on their class path. */
public class LoraAutoConfigurationTest {

    private static final String DEMO = "../examples/demo/";

    private final HttpClient client = HttpClient.newHttpClient();
    private final ApplicationContextRunner application =
            new ApplicationContextRunner()
                    .withConfiguration(
                            AutoConfigurations.of(
                                    LoraAutoConfiguration.class,
                                    LoraHealthAutoConfiguration.class));

    private String get(URI uri) throws IOException, InterruptedException {
        return client.send(
                        HttpRequest.newBuilder(uri).build(), HttpResponse.BodyHandlers.ofString())
                .body();
    }

    @Test
    public void testServerOfTheProperties() {
        AtomicReference<URI> address = new AtomicReference<>();
        application
                .withPropertyValues(
                        "djl.lora.model=" + DEMO + "base",
                        "djl.lora.name=demo",
                        "djl.lora.adapters.upper=" + DEMO + "upper")
                .withBean(
                        LoraServerCustomizer.class,
                        () ->
                                builder ->
                                        builder.addRoute(
                                                Route.of(
                                                        Method.GET,
                                                        "/hello",
                                                        Permission.NONE,
                                                        request ->
                                                                CompletableFuture.completedFuture(
                                                                        Response.text(
                                                                                200,
                                                                                "text/plain",
                                                                                "hello")))))
                .run(
                        context -> {
                            LoraServer server = server(context);
                            address.set(server.uri());
                            Assert.assertEquals(server.model().name(), "demo");
                            Assert.assertTrue(server.targets().has("upper"));
                            Assert.assertEquals(get(URI.create(server.uri() + "/hello")), "hello");
                            var health = context.getBean(HealthIndicator.class).health();
                            Assert.assertEquals(health.getStatus(), Status.UP);
                            Assert.assertEquals(health.getDetails().get("adapters"), 1);
                        });
        // the context has ended, and the server with it
        Assert.assertThrows(
                ConnectException.class, () -> get(URI.create(address.get() + "/hello")));
    }

    private static LoraServer server(ApplicationContext context) {
        return context.getBean(LoraServer.class);
    }

    @Test
    public void testNothingIsServedWithoutAModel() {
        application.run(
                context ->
                        Assert.assertTrue(
                                context.getBeansOfType(LoraServer.class).isEmpty(), "server"));
    }

    @Test
    public void testAModelThatIsNotThere() {
        application
                .withPropertyValues("djl.lora.model=" + DEMO + "nothing")
                .run(
                        context -> {
                            Throwable cause = context.getStartupFailure();
                            while (cause.getCause() != null) {
                                cause = cause.getCause();
                            }
                            Assert.assertEquals(cause.getClass(), LoraConfigurationException.class);
                            Assert.assertTrue(
                                    cause.getMessage().contains("nothing has no config.json"),
                                    cause.getMessage());
                        });
    }
}
