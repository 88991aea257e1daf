/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.server.adapters.AdapterManager;
import ai.djl.lora.server.adapters.AdapterTargets;
import ai.djl.lora.server.adapters.source.SourceOptions;
import ai.djl.lora.server.http.Dispatcher;
import ai.djl.lora.server.http.Filter;
import ai.djl.lora.server.http.InferenceLimits;
import ai.djl.lora.server.http.Route;
import ai.djl.lora.server.inference.RoutingRules;
import ai.djl.lora.server.model.ServedModel;
import ai.djl.lora.server.netty.ConnectionLimits;
import ai.djl.lora.server.netty.HttpServer;
import ai.djl.lora.server.operations.ResponseCache;
import ai.djl.lora.server.operations.ServerState;
import ai.djl.lora.server.security.RenewedTls;
import ai.djl.lora.server.security.SecurityOptions;
import io.micrometer.core.instrument.MeterRegistry;
import io.opentelemetry.api.OpenTelemetry;
import java.net.InetSocketAddress;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.atomic.AtomicReference;

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
    private final ServerAddresses wanted;
    private final Duration drainTime;
    private final Duration drainPause;
    private final HttpServer http;
    private final RenewedTls tls;
    private final ServerParts parts;
    private final AtomicReference<ServerState> state = new AtomicReference<>(ServerState.STARTING);
    private InetSocketAddress address;
    private InetSocketAddress managementAddress;

    private LoraServer(Builder builder) {
        model = Objects.requireNonNull(builder.model, "model");
        wanted =
                ServerAddresses.of(
                        builder.host, builder.port, builder.managementHost, builder.managementPort);
        drainTime = builder.drainTime;
        drainPause = builder.drainPause;
        builder.security.checkAddresses(wanted.all());
        tls = builder.security.tls().map(RenewedTls::new).orElse(null);
        parts = new ServerParts(builder, state::get);
        http = new HttpServer(builder.limits);
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
     * @throws LoraConfigurationException if an address cannot be had; the server is closed then,
     *     and the model with it
     */
    public LoraServer start() {
        try {
            Dispatcher dispatcher =
                    wanted.management().isPresent() ? parts.inference() : parts.everything();
            address = http.listen(wanted.main(), dispatcher, tls);
            managementAddress =
                    wanted.management()
                            .map(other -> http.listen(other, parts.everything(), tls))
                            .orElse(address);
        } catch (LoraConfigurationException e) {
            // whoever starts it in one go with building it has nothing to close
            close();
            throw e;
        }
        state.compareAndSet(ServerState.STARTING, ServerState.READY);
        return this;
    }

    /**
     * Returns where the server listens.
     *
     * @return the address of its root, without a slash at the end
     * @throws IllegalStateException if it has not started
     */
    public URI uri() {
        return uri(wanted.main(), address);
    }

    /**
     * Returns where the server listens for management.
     *
     * @return the address of its root, without a slash at the end; {@link #uri} where one port
     *     serves all
     * @throws IllegalStateException if it has not started
     */
    public URI managementUri() {
        return uri(wanted.management().orElse(wanted.main()), managementAddress);
    }

    private URI uri(InetSocketAddress asked, InetSocketAddress bound) {
        if (bound == null) {
            throw new IllegalStateException("the server has not started");
        }
        // a socket of both kinds of addresses says that it is of the newer one
        String host = asked.getAddress().getHostAddress();
        String shown = host.indexOf(':') < 0 ? host : '[' + host + ']';
        return URI.create((tls == null ? "http://" : "https://") + shown + ':' + bound.getPort());
    }

    /**
     * Returns whether the server takes requests.
     *
     * @return whether it has started and is not about to end
     */
    public boolean isReady() {
        return state.get() == ServerState.READY;
    }

    /**
     * Returns everything that the server does.
     *
     * @return the routes, those of management too
     */
    public List<Route> routes() {
        return parts.everything().router().routes();
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
        return parts.targets();
    }

    /**
     * Returns what changes adapters.
     *
     * @return the manager, owned by this server
     */
    public AdapterManager adapters() {
        return parts.manager();
    }

    /**
     * Says that it is not ready, takes requests for a pause more, then takes no more, waits for
     * those that were taken, for as long as the server was told to, and ends. The model is closed
     * too.
     */
    @Override
    public void close() {
        if (state.getAndSet(ServerState.ENDING) == ServerState.ENDING) {
            return;
        }
        try {
            if (address != null) {
                // whoever sends requests here has to see first that it must not
                Thread.sleep(drainPause.toMillis());
            }
            long end = System.nanoTime() + drainTime.toNanos();
            http.drain(drainTime);
            model.replicas().drain(Duration.ofNanos(Math.max(0, end - System.nanoTime())));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            http.close();
            if (tls != null) {
                tls.close();
            }
            parts.close();
            model.close();
        }
    }

    /** A builder of {@link LoraServer}s. */
    public static final class Builder {

        ServedModel model;
        private String host = "127.0.0.1";
        private int port;
        private Optional<String> managementHost = Optional.empty();
        private OptionalInt managementPort = OptionalInt.empty();
        private Duration drainTime = Duration.ofSeconds(30);
        private Duration drainPause = Duration.ZERO;
        SecurityOptions security = SecurityOptions.NONE;
        InferenceLimits inferenceLimits = InferenceLimits.DEFAULTS;
        Optional<MeterRegistry> meters = Optional.empty();
        int metricAdapters = 100;
        boolean metricsOpen;
        boolean accessLog = true;
        Optional<ResponseCache> cache = Optional.empty();

        /** An OpenTelemetry, of which there need not be the classes; null for none. */
        Object telemetry;

        ConnectionLimits limits = ConnectionLimits.DEFAULTS;
        RoutingRules routing = RoutingRules.NONE;
        SourceOptions sources = SourceOptions.builder().build();
        final List<Route> routes = new ArrayList<>();
        final List<Filter> filters = new ArrayList<>();

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
            port = ServerAddresses.checkPort("port", value);
            return this;
        }

        /**
         * Sets the port of management, which then has one of its own. By default it has none where
         * the host is this machine alone, and otherwise the next one.
         *
         * @param value the port; 0 for one that is free
         * @return this builder
         */
        public Builder optManagementPort(int value) {
            managementPort = OptionalInt.of(ServerAddresses.checkPort("managementPort", value));
            return this;
        }

        /**
         * Sets the host on which management has a port.
         *
         * @param value a name or an address; by default this machine alone can connect
         * @return this builder
         */
        public Builder optManagementHost(String value) {
            managementHost = Optional.of(value);
            return this;
        }

        /**
         * Sets who may call the server, how often, and how connections are secured.
         *
         * @param value the options; by default anybody on this machine may do everything
         * @return this builder
         */
        public Builder optSecurity(SecurityOptions value) {
            security = Objects.requireNonNull(value, "security");
            return this;
        }

        /**
         * Sets where the server's metrics go beside its own routes.
         *
         * @param value the application's registry, from which they are taken when the server ends
         * @return this builder
         */
        public Builder optMeterRegistry(MeterRegistry value) {
            meters = Optional.of(value);
            return this;
        }

        /**
         * Sets how many adapters have metrics of their own; the others share those of one that is
         * called other.
         *
         * @param value the number, 0 or more; 100 by default
         * @return this builder
         */
        public Builder optMetricAdapters(int value) {
            if (value < 0) {
                throw new LoraConfigurationException(
                        "metricAdapters is " + value + "; it must be 0 or more");
            }
            metricAdapters = value;
            return this;
        }

        /**
         * Sets whether anybody may see the metrics, on the server's first port too.
         *
         * @param value whether anybody may; by default it takes the role of management
         * @return this builder
         */
        public Builder optMetricsOpen(boolean value) {
            metricsOpen = value;
            return this;
        }

        /**
         * Sets whether requests are noted on the logger {@code ai.djl.lora.access}.
         *
         * @param value whether they are; true by default
         * @return this builder
         */
        public Builder optAccessLog(boolean value) {
            accessLog = value;
            return this;
        }

        /**
         * Sets that answers to requests that have one answer alone are kept, and given again for
         * the same request while their adapter's revision is the same.
         *
         * @param bytes what they may take together
         * @param time how long one is kept
         * @return this builder
         */
        public Builder optResponseCache(long bytes, Duration time) {
            cache = Optional.of(new ResponseCache(bytes, time, System::nanoTime));
            return this;
        }

        /**
         * Sets what spans of requests, loads, evictions, swaps and steps are told to.
         *
         * @param value the application's OpenTelemetry; none by default
         * @return this builder
         */
        public Builder optOpenTelemetry(OpenTelemetry value) {
            telemetry = Objects.requireNonNull(value, "telemetry");
            return this;
        }

        /**
         * Sets what requests for text may ask for.
         *
         * @param value the limits
         * @return this builder
         */
        public Builder optInferenceLimits(InferenceLimits value) {
            inferenceLimits = Objects.requireNonNull(value, "inferenceLimits");
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
         * Sets for how long the server goes on as before when it ends, but says that it is not
         * ready, so that a load balancer sends it no more.
         *
         * @param value the time; none by default
         * @return this builder
         */
        public Builder optDrainPause(Duration value) {
            drainPause = Objects.requireNonNull(value, "drainPause");
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
         * Sets which adapters answer requests that name none.
         *
         * @param value the rules; where none holds the default adapter answers
         * @return this builder
         */
        public Builder optRouting(RoutingRules value) {
            routing = Objects.requireNonNull(value, "routing");
            return this;
        }

        /**
         * Sets from where adapters may be registered while the server runs.
         *
         * @param value what is allowed, and where copies are kept; by default nothing but uploads
         * @return this builder
         */
        public Builder optAdapterSources(SourceOptions value) {
            sources = Objects.requireNonNull(value, "sources");
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
