/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.netty;

import ai.djl.lora.server.http.Response;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.DefaultHttpContent;
import io.netty.handler.codec.http.DefaultHttpResponse;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaderValues;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.LastHttpContent;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Flow;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;

/**
 * One request of a connection on its way to the end of its response. All but its construction runs
 * on the connection's event loop.
 */
final class Exchange {

    private final ChannelHandlerContext ctx;
    private final boolean head;
    private final boolean keepAlive;
    private final HttpVersion version;
    private final Duration stallTime;
    private final CompletableFuture<Void> gone = new CompletableFuture<>();
    private final Runnable ended;
    private final Runnable closing;
    private Flow.Subscription subscription;
    private boolean asked;
    private boolean done;
    private ScheduledFuture<?> stall;

    /**
     * Constructs a new {@code Exchange} instance.
     *
     * @param ctx the connection
     * @param head whether the response has no body
     * @param keepAlive whether the connection stays open
     * @param version the client's version
     * @param stallTime how long the client may take nothing
     * @param ended called once the response has been written and the connection stays open
     * @param closing called once the response has been written and the connection does not
     */
    Exchange(
            ChannelHandlerContext ctx,
            boolean head,
            boolean keepAlive,
            HttpVersion version,
            Duration stallTime,
            Runnable ended,
            Runnable closing) {
        this.ctx = ctx;
        this.head = head;
        this.keepAlive = keepAlive;
        this.version = version;
        this.stallTime = stallTime;
        this.ended = ended;
        this.closing = closing;
    }

    /** Completes when the client has gone before the response was written. */
    CompletableFuture<Void> gone() {
        return gone;
    }

    void respond(Response response) {
        if (done) {
            discard(response);
            return;
        }
        if (response instanceof Response.Whole whole) {
            respond(whole);
        } else {
            respond((Response.Streamed) response);
        }
    }

    private void respond(Response.Whole whole) {
        DefaultFullHttpResponse message =
                new DefaultFullHttpResponse(
                        HttpVersion.HTTP_1_1,
                        HttpResponseStatus.valueOf(whole.status()),
                        Unpooled.wrappedBuffer(head ? new byte[0] : whole.body()));
        setHeaders(message, whole.headers());
        message.headers().set(HttpHeaderNames.CONTENT_LENGTH, whole.body().length);
        watchStall();
        finish(ctx.writeAndFlush(message), keepAlive);
    }

    private void respond(Response.Streamed streamed) {
        DefaultHttpResponse message =
                new DefaultHttpResponse(
                        HttpVersion.HTTP_1_1, HttpResponseStatus.valueOf(streamed.status()));
        setHeaders(message, streamed.headers());
        // clients of HTTP/1.0 read to the end of the connection
        boolean chunked = HttpVersion.HTTP_1_1.equals(version);
        HttpUtil.setTransferEncodingChunked(message, chunked);
        ctx.writeAndFlush(message);
        if (head) {
            discard(streamed);
            finish(ctx.writeAndFlush(LastHttpContent.EMPTY_LAST_CONTENT), keepAlive && chunked);
            return;
        }
        streamed.pieces().subscribe(new Pieces(keepAlive && chunked));
    }

    private void setHeaders(HttpResponse message, Map<String, String> headers) {
        headers.forEach(message.headers()::set);
        if (!keepAlive) {
            message.headers().set(HttpHeaderNames.CONNECTION, HttpHeaderValues.CLOSE);
        } else if (!version.isKeepAliveDefault()) {
            message.headers().set(HttpHeaderNames.CONNECTION, HttpHeaderValues.KEEP_ALIVE);
        }
    }

    /** A response that nobody reads must not leave what makes it waiting. */
    private static void discard(Response response) {
        if (response instanceof Response.Streamed streamed) {
            streamed.pieces()
                    .subscribe(
                            new Flow.Subscriber<>() {
                                @Override
                                public void onSubscribe(Flow.Subscription given) {
                                    given.cancel();
                                }

                                @Override
                                public void onNext(byte[] piece) {}

                                @Override
                                public void onError(Throwable failure) {}

                                @Override
                                public void onComplete() {}
                            });
        }
    }

    private void finish(ChannelFuture last, boolean open) {
        done = true;
        last.addListener(
                written -> {
                    cancelStall();
                    if (!written.isSuccess()) {
                        ctx.close();
                    } else if (open) {
                        ended.run();
                    } else {
                        closing.run();
                    }
                });
    }

    /** Ends the exchange because the client has gone. */
    void clientGone() {
        cancelStall();
        done = true;
        if (subscription != null) {
            subscription.cancel();
        }
        gone.complete(null);
    }

    /** Asks for the next piece once what was written has left. */
    void writabilityChanged() {
        if (ctx.channel().isWritable()) {
            cancelStall();
            ask();
        } else {
            watchStall();
        }
    }

    private void watchStall() {
        if (stall == null) {
            stall =
                    ctx.executor()
                            .schedule(
                                    () -> {
                                        ctx.close();
                                    },
                                    stallTime.toMillis(),
                                    TimeUnit.MILLISECONDS);
        }
    }

    private void cancelStall() {
        if (stall != null) {
            stall.cancel(false);
            stall = null;
        }
    }

    private void ask() {
        if (!done && !asked && subscription != null && ctx.channel().isWritable()) {
            asked = true;
            subscription.request(1);
        }
    }

    /** Writes pieces as the client takes them. Its methods may be called on any thread. */
    private final class Pieces implements Flow.Subscriber<byte[]> {

        private final boolean open;

        Pieces(boolean open) {
            this.open = open;
        }

        /** {@inheritDoc} */
        @Override
        public void onSubscribe(Flow.Subscription given) {
            onLoop(
                    () -> {
                        if (done) {
                            given.cancel();
                            return;
                        }
                        subscription = given;
                        ask();
                    });
        }

        /** {@inheritDoc} */
        @Override
        public void onNext(byte[] piece) {
            onLoop(
                    () -> {
                        asked = false;
                        if (!done) {
                            ctx.writeAndFlush(new DefaultHttpContent(Unpooled.wrappedBuffer(piece)))
                                    .addListener(ChannelFutureListener.CLOSE_ON_FAILURE);
                            ask();
                        }
                    });
        }

        /** {@inheritDoc} */
        @Override
        public void onError(Throwable failure) {
            // the status has gone: that the body ends without its last chunk tells the client
            onLoop(() -> ctx.close());
        }

        /** {@inheritDoc} */
        @Override
        public void onComplete() {
            onLoop(
                    () -> {
                        if (!done) {
                            finish(ctx.writeAndFlush(LastHttpContent.EMPTY_LAST_CONTENT), open);
                        }
                    });
        }

        private void onLoop(Runnable task) {
            if (ctx.executor().inEventLoop()) {
                task.run();
            } else {
                ctx.executor().execute(task);
            }
        }
    }
}
