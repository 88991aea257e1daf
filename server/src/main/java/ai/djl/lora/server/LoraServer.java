/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.server.adapters.AdapterTargets;
import ai.djl.lora.server.http.Dispatcher;
import ai.djl.lora.server.http.Filter;
import ai.djl.lora.server.http.Route;
import ai.djl.lora.server.http.Router;
import ai.djl.lora.server.model.ServedModel;
import ai.djl.lora.server.netty.ConnectionLimits;
import ai.djl.lora.server.netty.HttpServer;
import ai.djl.lora.server.operations.HealthRoutes;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Serves a model and its adapters over HTTP, in the process that starts it.
 *
 * <pre>{@code
 * try (LoraServer server = LoraServer.builder().setModel(model).optPort(8080).build().start()) {
 *     System.out.println("Listening on " + server.uri());
 * }
 * }</pre>
 */
public final class LoraServer implements AutoCloseable {

    private final ServedModel model;
    private final AdapterTargets targets;
    private final InetSocketAddress wanted;
    private final Duration drainTime;
    private final HttpServer http;
    private final Dispatcher dispatcher;
    private final AtomicBoolean ending = new AtomicBoolean();
    private InetSocketAddress address;

    private LoraServer(Builder builder) {
        model = Objects.requireNonNull(builder.model, "model");
        wanted = new InetSocketAddress(address(builder.host), builder.port);
        drainTime = builder.drainTime;
        targets = new AdapterTargets(model.adapters());
        http = new HttpServer(builder.limits);
        List<Route> routes = new ArrayList<>();
        routes.addAll(new HealthRoutes(() -> !ending.get()).routes());
        routes.addAll(builder.routes);
        dispatcher = new Dispatcher(new Router(routes), builder.filters);
    }

    private static InetAddress address(String host) {
        try {
            return InetAddress.getByName(host);
        } catch (UnknownHostException e) {
            throw new LoraConfigurationException("host is " + host + ", which is not known", e);
        }
    }

    /**
     * Returns a builder of servers.
     *
     * @return a new builder
     */
    public static Builder builder() {
        return new Builder();
    }

    /**
     * Begins to listen.
     *
     * @return this server
     * @throws LoraConfigurationException if the address cannot be had
     */
    public LoraServer start() {
        address = http.listen(wanted, dispatcher, null);
        return this;
    }

    /**
     * Returns where the server listens.
     *
     * @return the address of its root, without a slash at the end
     * @throws IllegalStateException if it has not started
     */
    public URI uri() {
        if (address == null) {
            throw new IllegalStateException("the server has not started");
        }
        String host = address.getAddress().getHostAddress();
        String shown = host.indexOf(':') < 0 ? host : '[' + host + ']';
        return URI.create("http://" + shown + ':' + address.getPort());
    }

    /**
     * Returns the model that is served.
     *
     * @return the model
     */
    public ServedModel model() {
        return model;
    }

    /**
     * Returns what says which adapter a request gets.
     *
     * @return the targets
     */
    public AdapterTargets targets() {
        return targets;
    }

    /**
     * Takes no more requests, waits for those that were taken, for as long as the server was told
     * to, and ends. The model is closed too.
     */
    @Override
    public void close() {
        if (!ending.compareAndSet(false, true)) {
            return;
        }
        try {
            http.drain(drainTime);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            http.close();
            model.close();
        }
    }

    /** A builder of {@link LoraServer}s. */
    public static final class Builder {

        private ServedModel model;
        private String host = "127.0.0.1";
        private int port;
        private Duration drainTime = Duration.ofSeconds(30);
        private ConnectionLimits limits = ConnectionLimits.DEFAULTS;
        private final List<Route> routes = new ArrayList<>();
        private final List<Filter> filters = new ArrayList<>();

        private Builder() {}

        /**
         * Sets the model that is served.
         *
         * @param value the model; the server closes it
         * @return this builder
         */
        public Builder setModel(ServedModel value) {
            model = value;
            return this;
        }

        /**
         * Sets the host to listen on.
         *
         * @param value a name or an address; by default this machine alone can connect
         * @return this builder
         */
        public Builder optHost(String value) {
            host = Objects.requireNonNull(value, "host");
            return this;
        }

        /**
         * Sets the port to listen on.
         *
         * @param value the port; 0, the default, for one that is free
         * @return this builder
         */
        public Builder optPort(int value) {
            if (value < 0 || value > 65_535) {
                throw new LoraConfigurationException(
                        "port is " + value + "; it must be from 0 to 65535");
            }
            port = value;
            return this;
        }

        /**
         * Sets how long requests that were taken may go on when the server ends.
         *
         * @param value the time
         * @return this builder
         */
        public Builder optDrainTime(Duration value) {
            drainTime = Objects.requireNonNull(value, "drainTime");
            return this;
        }

        /**
         * Sets what one client may take.
         *
         * @param value the limits
         * @return this builder
         */
        public Builder optLimits(ConnectionLimits value) {
            limits = Objects.requireNonNull(value, "limits");
            return this;
        }

        /**
         * Adds a route of the application's own.
         *
         * @param value the route
         * @return this builder
         */
        public Builder addRoute(Route value) {
            routes.add(Objects.requireNonNull(value, "route"));
            return this;
        }

        /**
         * Adds what stands before all routes.
         *
         * @param value the filter; those that were added first are outermost
         * @return this builder
         */
        public Builder addFilter(Filter value) {
            filters.add(Objects.requireNonNull(value, "filter"));
            return this;
        }

        /**
         * Builds the server, which does not listen yet.
         *
         * @return the server
         * @throws LoraConfigurationException if the host is not known
         */
        public LoraServer build() {
            return new LoraServer(this);
        }
    }
}
