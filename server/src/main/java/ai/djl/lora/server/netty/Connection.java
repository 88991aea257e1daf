/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.netty;

import ai.djl.lora.server.http.Body;
import ai.djl.lora.server.http.Caller;
import ai.djl.lora.server.http.Dispatcher;
import ai.djl.lora.server.http.Failures;
import ai.djl.lora.server.http.HttpFailure;
import ai.djl.lora.server.http.Method;
import ai.djl.lora.server.http.Refusal;
import ai.djl.lora.server.http.Request;
import ai.djl.lora.server.http.Response;
import ai.djl.lora.server.http.Route;
import ai.djl.lora.server.http.Router;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.handler.codec.DecoderResult;
import io.netty.handler.codec.TooLongFrameException;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.HttpContent;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpObject;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.handler.codec.http.QueryStringDecoder;
import io.netty.util.ReferenceCountUtil;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One connection: takes one request after the other, each whole, and answers it before it looks at
 * the next. What a request is for is known by its first lines, and one that nobody would answer is
 * refused before its content has come.
 */
final class Connection extends ChannelInboundHandlerAdapter {

    private static final Logger logger = LoggerFactory.getLogger(Connection.class);

    /** An id that a client gives its request, short enough for logs. */
    private static final Pattern ID = Pattern.compile("[A-Za-z0-9_.:-]{1,128}");

    /** How many parts of further requests are read ahead while one is answered. */
    private static final int READ_AHEAD = 64;

    /** How long the rest of a refused request is read. */
    private static final Duration LINGER = Duration.ofSeconds(2);

    private final Dispatcher dispatcher;
    private final ServerContext server;
    private final Deque<HttpObject> ahead = new ArrayDeque<>();
    private Exchange exchange;
    private ScheduledFuture<?> timer;

    /** The request whose content is coming. */
    private HttpRequest head;

    private Router.Found found;
    private BodySink sink;
    private String id;
    private Instant start;
    private long startNanos;

    /** Whether what comes belongs to a request that was refused before it had come. */
    private boolean refused;

    /** Whether it is being found out if the caller may send its content. */
    private boolean admitting;

    /**
     * Constructs a new {@code Connection} instance.
     *
     * @param dispatcher answers
     * @param server what all connections share
     */
    Connection(Dispatcher dispatcher, ServerContext server) {
        this.dispatcher = dispatcher;
        this.server = server;
    }

    /** {@inheritDoc} */
    @Override
    public void channelActive(ChannelHandlerContext ctx) {
        schedule(ctx, server.limits().headerTime());
        ctx.fireChannelActive();
    }

    /** {@inheritDoc} */
    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) {
        if (!(message instanceof HttpObject object)) {
            ReferenceCountUtil.release(message);
            return;
        }
        if (refused) {
            lingered(ctx, object);
            return;
        }
        if (exchange != null || admitting) {
            ahead.add(object);
            if (ahead.size() > READ_AHEAD) {
                ctx.channel().config().setAutoRead(false);
            }
            return;
        }
        take(ctx, object);
    }

    private void take(ChannelHandlerContext ctx, HttpObject object) {
        try {
            if (object.decoderResult().isFailure()) {
                refuse(ctx, malformed(object.decoderResult()));
                return;
            }
            if (object instanceof HttpRequest request) {
                begin(ctx, request);
            }
            if (object instanceof HttpContent content && !refused && sink != null) {
                schedule(ctx, server.limits().bodyTime());
                sink.add(content.content());
                if (content instanceof LastHttpContent) {
                    submit(ctx);
                }
            }
        } catch (HttpFailure e) {
            refuse(ctx, e);
        } catch (IOException | RuntimeException e) {
            refuse(ctx, e);
        } finally {
            ReferenceCountUtil.release(object);
        }
    }

    private void begin(ChannelHandlerContext ctx, HttpRequest request) throws IOException {
        head = request;
        start = Instant.now();
        startNanos = System.nanoTime();
        String given = request.headers().get(Dispatcher.REQUEST_ID);
        id = given != null && ID.matcher(given).matches() ? given : UUID.randomUUID().toString();
        String uri = request.uri();
        int question = uri.indexOf('?');
        String path = question < 0 ? uri : uri.substring(0, question);
        found = dispatcher.router().find(request.method().name(), path);
        checkContentType(request, found.route());
        if (found.route().upload()) {
            admit(ctx);
        } else {
            sink = BodySink.inMemory(server.limits().bodyBytes());
            welcome(ctx);
        }
    }

    private void welcome(ChannelHandlerContext ctx) {
        sink.announce(HttpUtil.getContentLength(head, 0L));
        if (HttpUtil.is100ContinueExpected(head)) {
            ctx.writeAndFlush(
                    new DefaultFullHttpResponse(HttpVersion.HTTP_1_1, HttpResponseStatus.CONTINUE));
        }
    }

    /* Nobody fills the disk who may not. Who it is may have to be asked of others: on a worker. */
    private void admit(ChannelHandlerContext ctx) {
        admitting = true;
        cancelTimer();
        Request request = request(ctx, Body.EMPTY, new CompletableFuture<>());
        Route route = found.route();
        try {
            server.workers()
                    .execute(
                            () -> {
                                RuntimeException reason = reasonAgainst(request, route);
                                ctx.executor().execute(() -> admitted(ctx, reason));
                            });
        } catch (RejectedExecutionException e) {
            admitting = false;
            throw busy(e);
        }
    }

    private RuntimeException reasonAgainst(Request request, Route route) {
        try {
            dispatcher.admission().check(request, route);
            return null;
        } catch (RuntimeException e) {
            return e;
        }
    }

    private static HttpFailure busy(RejectedExecutionException cause) {
        return new HttpFailure(
                503,
                "server_busy",
                "the server has no thread free for the request",
                null,
                Map.of("Retry-After", "1"),
                cause);
    }

    private void admitted(ChannelHandlerContext ctx, RuntimeException failure) {
        admitting = false;
        if (!ctx.channel().isActive()) {
            return;
        }
        try {
            if (failure != null) {
                throw failure;
            }
            sink = BodySink.inFile(server.uploads(), server.limits().uploadBytes());
            welcome(ctx);
        } catch (IOException | RuntimeException e) {
            refuse(ctx, e);
        }
        if (!refused) {
            schedule(ctx, server.limits().bodyTime());
        }
        readAhead(ctx);
    }

    private static void checkContentType(HttpRequest request, Route route) {
        if (route.contentTypes().isEmpty()) {
            return;
        }
        String type = request.headers().get(HttpHeaderNames.CONTENT_TYPE, "");
        String media = type.split(";", 2)[0].trim().toLowerCase(Locale.ROOT);
        if (!route.contentTypes().contains(media)) {
            throw new HttpFailure(
                    415,
                    "unsupported_media_type",
                    "the content type is "
                            + (media.isEmpty() ? "missing" : media)
                            + "; it must be "
                            + String.join(" or ", route.contentTypes().stream().sorted().toList()));
        }
    }

    private void submit(ChannelHandlerContext ctx) throws IOException {
        cancelTimer();
        BodySink content = sink;
        sink = null;
        boolean keepAlive = HttpUtil.isKeepAlive(head) && !server.isDraining();
        Exchange current = newExchange(ctx, keepAlive, ctx::close);
        exchange = current;
        current.gone().thenRun(() -> close(content));
        Request request = request(ctx, content.finish(), current.gone());
        Route route = found.route();
        try {
            server.workers()
                    .execute(
                            () ->
                                    dispatcher
                                            .dispatch(request, route)
                                            .whenComplete(
                                                    (response, failure) -> {
                                                        close(content);
                                                        respond(
                                                                ctx, current, request, route,
                                                                response, failure);
                                                    }));
        } catch (RejectedExecutionException e) {
            close(content);
            current.respond(refusal(ctx, busy(e)));
        }
    }

    private void respond(
            ChannelHandlerContext ctx,
            Exchange current,
            Request request,
            Route route,
            Response response,
            Throwable failure) {
        Response answer =
                failure == null
                        ? response
                        : Dispatcher.failed(request.id(), route.errors(), failure);
        ctx.executor().execute(() -> current.respond(answer));
    }

    private Exchange newExchange(ChannelHandlerContext ctx, boolean keepAlive, Runnable closing) {
        return new Exchange(
                ctx,
                head != null && "HEAD".equals(head.method().name()),
                keepAlive,
                head == null ? HttpVersion.HTTP_1_1 : head.protocolVersion(),
                server.limits().stallTime(),
                () -> next(ctx),
                closing);
    }

    private Request request(ChannelHandlerContext ctx, Body body, CompletableFuture<Void> gone) {
        QueryStringDecoder query = new QueryStringDecoder(head.uri());
        Map<String, List<String>> headers = new TreeMap<>();
        for (var header : head.headers()) {
            headers.computeIfAbsent(
                            header.getKey().toLowerCase(Locale.ROOT), name -> new ArrayList<>())
                    .add(header.getValue());
        }
        String method = head.method().name();
        return new Request(
                id,
                "HEAD".equals(method) ? Method.GET : Method.valueOf(method),
                query.path(),
                found.variables(),
                query.parameters(),
                headers,
                body,
                ((InetSocketAddress) ctx.channel().remoteAddress()).getAddress(),
                Caller.NOBODY,
                gone);
    }

    /** Refuses a request of which more may come; what comes is not read, and the end is the end. */
    private void refuse(ChannelHandlerContext ctx, Throwable failure) {
        if (refused) {
            return;
        }
        refused = true;
        cancelTimer();
        close(sink);
        sink = null;
        exchange = newExchange(ctx, false, () -> linger(ctx));
        exchange.respond(refusal(ctx, failure));
    }

    /** Returns the response to a request that no route sees, and has it noted. */
    private Response refusal(ChannelHandlerContext ctx, Throwable failure) {
        String named = id == null ? UUID.randomUUID().toString() : id;
        Optional<Route> route = Optional.ofNullable(found).map(Router.Found::route);
        HttpFailure known = Failures.of(named, failure);
        Response.Whole response =
                Dispatcher.failed(named, route.map(Route::errors).orElse(Route.DEFAULT_ERRORS), known);
        boolean begun = head != null;
        Refusal refusal =
                new Refusal(
                        named,
                        begun ? head.method().name() : "",
                        route,
                        ((InetSocketAddress) ctx.channel().remoteAddress()).getAddress(),
                        known.status(),
                        known.code(),
                        response.body().length,
                        begun ? start : Instant.now(),
                        begun ? Duration.ofNanos(System.nanoTime() - startNanos) : Duration.ZERO);
        try {
            // logs may take their time
            server.workers().execute(() -> dispatcher.observers().refused(refusal));
        } catch (RejectedExecutionException e) {
            dispatcher.observers().refused(refusal);
        }
        return response;
    }

    /* Closing a connection on which more comes would make the client's system throw away the
     * response before the client has read it. */
    private void linger(ChannelHandlerContext ctx) {
        schedule(ctx, LINGER);
    }

    private void lingered(ChannelHandlerContext ctx, HttpObject object) {
        boolean last = object instanceof LastHttpContent || object.decoderResult().isFailure();
        ReferenceCountUtil.release(object);
        if (last && timer != null) {
            ctx.close();
        }
    }

    private static HttpFailure malformed(DecoderResult result) {
        if (result.cause() instanceof TooLongFrameException) {
            return new HttpFailure(
                    431,
                    "headers_too_large",
                    "the request's first line or its headers are longer than is allowed");
        }
        return new HttpFailure(400, "malformed_request", "the request is not valid HTTP");
    }

    /** Goes on with the next request of the connection. */
    private void next(ChannelHandlerContext ctx) {
        exchange = null;
        head = null;
        found = null;
        id = null;
        schedule(ctx, server.limits().idleTime());
        readAhead(ctx);
    }

    private void readAhead(ChannelHandlerContext ctx) {
        while (!ahead.isEmpty() && !admitting && (exchange == null || refused)) {
            if (refused) {
                lingered(ctx, ahead.poll());
            } else {
                take(ctx, ahead.poll());
            }
        }
        if (ahead.size() <= READ_AHEAD) {
            ctx.channel().config().setAutoRead(true);
        }
    }

    /** {@inheritDoc} */
    @Override
    public void channelInactive(ChannelHandlerContext ctx) {
        cancelTimer();
        close(sink);
        sink = null;
        ahead.forEach(ReferenceCountUtil::release);
        ahead.clear();
        if (exchange != null) {
            exchange.clientGone();
        }
        ctx.fireChannelInactive();
    }

    /** {@inheritDoc} */
    @Override
    public void channelWritabilityChanged(ChannelHandlerContext ctx) {
        if (exchange != null) {
            exchange.writabilityChanged();
        }
        ctx.fireChannelWritabilityChanged();
    }

    /** {@inheritDoc} */
    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
        // a client that has gone, or one that does not speak HTTP or TLS
        logger.debug("A connection failed", cause);
        ctx.close();
    }

    /** Whether no request is being answered or read. */
    boolean isIdle() {
        return exchange == null && sink == null && !admitting;
    }

    private void schedule(ChannelHandlerContext ctx, Duration time) {
        cancelTimer();
        timer = ctx.executor().schedule(() -> expire(ctx), time.toMillis(), TimeUnit.MILLISECONDS);
    }

    private void expire(ChannelHandlerContext ctx) {
        if (sink != null) {
            refuse(
                    ctx,
                    new HttpFailure(408, "timeout", "the request's content has not come in time"));
        } else {
            ctx.close();
        }
    }

    private void cancelTimer() {
        if (timer != null) {
            timer.cancel(false);
            timer = null;
        }
    }

    private static void close(BodySink sink) {
        if (sink != null) {
            try {
                sink.close();
            } catch (IOException e) {
                logger.warn("An upload's file cannot be removed", new UncheckedIOException(e));
            }
        }
    }
}
