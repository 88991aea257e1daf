/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.server.adapters.AdapterJson;
import ai.djl.lora.server.adapters.AdapterManager;
import ai.djl.lora.server.adapters.AdapterTargets;
import ai.djl.lora.server.adapters.routes.AdapterRoutes;
import ai.djl.lora.server.adapters.routes.DjlServingRoutes;
import ai.djl.lora.server.adapters.routes.SglangRoutes;
import ai.djl.lora.server.adapters.routes.VllmRoutes;
import ai.djl.lora.server.adapters.source.AdapterSources;
import ai.djl.lora.server.adapters.source.SourceOptions;
import ai.djl.lora.server.console.ConsoleRoutes;
import ai.djl.lora.server.http.Dispatcher;
import ai.djl.lora.server.http.Filter;
import ai.djl.lora.server.http.InferenceLimits;
import ai.djl.lora.server.http.Observers;
import ai.djl.lora.server.http.Permission;
import ai.djl.lora.server.http.RequestObserver;
import ai.djl.lora.server.http.Route;
import ai.djl.lora.server.http.Router;
import ai.djl.lora.server.inference.AdapterSelector;
import ai.djl.lora.server.inference.GenerateRoutes;
import ai.djl.lora.server.inference.InferenceService;
import ai.djl.lora.server.inference.RoutingRules;
import ai.djl.lora.server.inference.ServingRoutes;
import ai.djl.lora.server.model.ServedModel;
import ai.djl.lora.server.netty.ConnectionLimits;
import ai.djl.lora.server.netty.HttpServer;
import ai.djl.lora.server.openai.ChatRoutes;
import ai.djl.lora.server.openai.CompletionRoutes;
import ai.djl.lora.server.openai.EmbeddingRoutes;
import ai.djl.lora.server.openai.ModelRoutes;
import ai.djl.lora.server.openapi.OpenApiRoutes;
import ai.djl.lora.server.operations.AccessLog;
import ai.djl.lora.server.operations.AuditLog;
import ai.djl.lora.server.operations.FlightEvents;
import ai.djl.lora.server.operations.HealthRoutes;
import ai.djl.lora.server.operations.InfoRoutes;
import ai.djl.lora.server.operations.MetricsRoutes;
import ai.djl.lora.server.operations.RecentRequests;
import ai.djl.lora.server.operations.ResponseCache;
import ai.djl.lora.server.operations.ServerMetrics;
import ai.djl.lora.server.operations.ServerState;
import ai.djl.lora.server.operations.Tracing;
import ai.djl.lora.server.operations.Watchers;
import ai.djl.lora.server.security.Gate;
import ai.djl.lora.server.security.RateLimits;
import ai.djl.lora.server.security.SecurityOptions;
import ai.djl.lora.server.security.TlsOptions;
import io.micrometer.core.instrument.MeterRegistry;
import io.netty.handler.ssl.SslContext;
import io.opentelemetry.api.OpenTelemetry;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;

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
    private final AdapterManager manager;
    private final InetSocketAddress wanted;
    private final Optional<InetSocketAddress> wantedForManagement;
    private final Duration drainTime;
    private final Duration drainPause;
    private final HttpServer http;
    private final SslContext tls;
    private final Dispatcher dispatcher;
    private final Dispatcher management;
    private final AtomicReference<ServerState> state = new AtomicReference<>(ServerState.STARTING);
    private final ServerMetrics metrics;
    private final Watchers watchers;
    private final AccessLog accessLog;
    private InetSocketAddress address;
    private InetSocketAddress managementAddress;

    private LoraServer(Builder builder) {
        model = Objects.requireNonNull(builder.model, "model");
        wanted = new InetSocketAddress(address(builder.host), builder.port);
        wantedForManagement = builder.managementAddress(wanted);
        drainTime = builder.drainTime;
        drainPause = builder.drainPause;
        targets = new AdapterTargets(model.adapters());
        SecurityOptions security = builder.security;
        security.checkAddresses(
                Stream.concat(Stream.of(wanted), wantedForManagement.stream())
                        .map(InetSocketAddress::getAddress)
                        .toList());
        tls = security.tls().map(TlsOptions::open).orElse(null);
        RateLimits rates = security.newRateLimits();
        InferenceLimits limits = builder.inferenceLimits.withRate(rates::admitAdapter);
        metrics = new ServerMetrics(model, builder.meters, builder.metricAdapters);
        RecentRequests recent = new RecentRequests(System::nanoTime);
        watchers = new Watchers(model);
        watchers.addEngine(recent);
        watchers.add(new FlightEvents());
        List<RequestObserver> observers = new ArrayList<>();
        observers.add(new AuditLog());
        accessLog = new AccessLog();
        if (builder.accessLog) {
            observers.add(accessLog);
        }
        observers.add(metrics.requests());
        List<Filter> filters = new ArrayList<>();
        if (builder.telemetry != null) {
            Tracing tracing = new Tracing((OpenTelemetry) builder.telemetry);
            watchers.add(tracing);
            observers.add(tracing);
            filters.add(tracing);
        }
        Gate gate = new Gate(security.newAuthenticators(), rates, new Observers(observers));
        filters.add(gate);
        List<Route> routes = new ArrayList<>();
        routes.addAll(new HealthRoutes(state::get, model, recent).routes());
        routes.addAll(new InfoRoutes(model, builder.limits, limits).routes());
        Permission metering = builder.metricsOpen ? Permission.NONE : Permission.MANAGE;
        routes.addAll(new MetricsRoutes(metrics, metering).routes());
        routes.addAll(new OpenApiRoutes().routes());
        routes.addAll(new ConsoleRoutes().routes());
        AdapterSelector selector = new AdapterSelector(model, targets, builder.routing);
        InferenceService inference = new InferenceService(model, selector, limits);
        routes.addAll(new CompletionRoutes(inference).routes());
        routes.addAll(new ChatRoutes(inference).routes());
        routes.addAll(new EmbeddingRoutes(inference).routes());
        routes.addAll(new ModelRoutes(inference).routes());
        routes.addAll(new GenerateRoutes(inference).routes());
        routes.addAll(new ServingRoutes(inference).routes());
        manager = new AdapterManager(model, targets, new AdapterSources(builder.sources));
        AdapterJson json = new AdapterJson(model.adapters(), targets, manager.names());
        routes.addAll(new AdapterRoutes(model, manager, json).routes());
        routes.addAll(new DjlServingRoutes(model, manager, json).routes());
        routes.addAll(new VllmRoutes(manager, targets).routes());
        routes.addAll(new SglangRoutes(model, manager).routes());
        routes.addAll(builder.routes);
        filters.addAll(builder.filters);
        if (builder.routing.rules().isEmpty()) {
            // rules may send one request to several adapters
            builder.cache.ifPresent(cache -> filters.add(cache.filter(model, targets)));
        }
        management = new Dispatcher(new Router(routes), filters, gate::check);
        dispatcher =
                wantedForManagement.isEmpty()
                        ? management
                        : new Dispatcher(
                                new Router(withoutManagement(routes)), filters, gate::check);
        http = new HttpServer(builder.limits);
    }

    private static List<Route> withoutManagement(List<Route> routes) {
        return routes.stream().filter(route -> route.permission() != Permission.MANAGE).toList();
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
     * @throws LoraConfigurationException if an address cannot be had; the server is closed then,
     *     and the model with it
     */
    public LoraServer start() {
        try {
            address = http.listen(wanted, dispatcher, tls);
            managementAddress =
                    wantedForManagement
                            .map(other -> http.listen(other, management, tls))
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
        return uri(wanted, address);
    }

    /**
     * Returns where the server listens for management.
     *
     * @return the address of its root, without a slash at the end; {@link #uri} where one port
     *     serves all
     * @throws IllegalStateException if it has not started
     */
    public URI managementUri() {
        return uri(wantedForManagement.orElse(wanted), managementAddress);
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
        return management.router().routes();
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
     * Returns what changes adapters.
     *
     * @return the manager, owned by this server
     */
    public AdapterManager adapters() {
        return manager;
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
            model.engine().drain(Duration.ofNanos(Math.max(0, end - System.nanoTime())));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            http.close();
            manager.close();
            accessLog.close();
            watchers.close();
            metrics.close();
            model.close();
        }
    }

    /** A builder of {@link LoraServer}s. */
    public static final class Builder {

        private ServedModel model;
        private String host = "127.0.0.1";
        private int port;
        private Optional<String> managementHost = Optional.empty();
        private OptionalInt managementPort = OptionalInt.empty();
        private Duration drainTime = Duration.ofSeconds(30);
        private Duration drainPause = Duration.ZERO;
        private SecurityOptions security = SecurityOptions.NONE;
        private InferenceLimits inferenceLimits = InferenceLimits.DEFAULTS;
        private Optional<MeterRegistry> meters = Optional.empty();
        private int metricAdapters = 100;
        private boolean metricsOpen;
        private boolean accessLog = true;
        private Optional<ResponseCache> cache = Optional.empty();

        /** An OpenTelemetry, of which there need not be the classes; null for none. */
        private Object telemetry;

        private ConnectionLimits limits = ConnectionLimits.DEFAULTS;
        private RoutingRules routing = RoutingRules.NONE;
        private SourceOptions sources = SourceOptions.builder().build();
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
            port = checkPort("port", value);
            return this;
        }

        private static int checkPort(String name, int value) {
            if (value < 0 || value > 65_535) {
                throw new LoraConfigurationException(
                        name + " is " + value + "; it must be from 0 to 65535");
            }
            return value;
        }

        /**
         * Sets the port of management, which then has one of its own. By default it has none where
         * the host is this machine alone, and otherwise the next one.
         *
         * @param value the port; 0 for one that is free
         * @return this builder
         */
        public Builder optManagementPort(int value) {
            managementPort = OptionalInt.of(checkPort("managementPort", value));
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

        private Optional<InetSocketAddress> managementAddress(InetSocketAddress main) {
            boolean own =
                    managementPort.isPresent()
                            || managementHost.isPresent()
                            || !main.getAddress().isLoopbackAddress();
            if (!own) {
                return Optional.empty();
            }
            int number = managementPort.orElse(port == 0 ? 0 : checkPort("port", port + 1));
            return Optional.of(
                    new InetSocketAddress(address(managementHost.orElse("127.0.0.1")), number));
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
