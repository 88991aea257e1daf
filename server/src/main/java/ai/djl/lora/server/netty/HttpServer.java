/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.netty;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.server.http.Dispatcher;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.WriteBufferWaterMark;
import io.netty.channel.group.ChannelGroup;
import io.netty.channel.group.DefaultChannelGroup;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.SocketChannel;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.handler.codec.http.HttpDecoderConfig;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.handler.ssl.SslContext;
import io.netty.util.concurrent.DefaultThreadFactory;
import io.netty.util.concurrent.GlobalEventExecutor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Supplier;

/** Listens on addresses, and answers what comes there. */
public final class HttpServer implements AutoCloseable {

    private static final int WORKERS = 32;

    /** What may wait in a connection's buffer before its response is asked for no more. */
    private static final WriteBufferWaterMark BUFFERED =
            new WriteBufferWaterMark(16 << 10, 64 << 10);

    private final EventLoopGroup acceptors;
    private final EventLoopGroup loops;
    private final ThreadPoolExecutor workers;
    private final ServerContext context;
    private final ChannelGroup listening;
    private final ChannelGroup connections;

    /**
     * Constructs a new {@code HttpServer} instance, which listens nowhere yet.
     *
     * @param limits what one client may take
     */
    public HttpServer(ConnectionLimits limits) {
        acceptors = group("djl-lora-accept", 1);
        loops = group("djl-lora-http", Math.max(2, Runtime.getRuntime().availableProcessors() / 2));
        workers =
                new ThreadPoolExecutor(
                        WORKERS,
                        WORKERS,
                        30,
                        TimeUnit.SECONDS,
                        new ArrayBlockingQueue<>(limits.queuedRequests()),
                        new DefaultThreadFactory("djl-lora-worker", true));
        workers.allowCoreThreadTimeOut(true);
        listening = new DefaultChannelGroup(GlobalEventExecutor.INSTANCE);
        connections = new DefaultChannelGroup(GlobalEventExecutor.INSTANCE);
        context = new ServerContext(limits, workers, newFolder(), new AtomicBoolean());
    }

    private static EventLoopGroup group(String name, int threads) {
        return new MultiThreadIoEventLoopGroup(
                threads, new DefaultThreadFactory(name, true), NioIoHandler.newFactory());
    }

    private static Path newFolder() {
        try {
            return Files.createTempDirectory("djl-lora-uploads-");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * Begins to listen.
     *
     * @param address the address; port 0 is a free one
     * @param dispatcher answers what comes there
     * @param tls gives what secures each new connection; null for plain ones
     * @return the address, with the port
     * @throws LoraConfigurationException if the address cannot be had
     */
    public InetSocketAddress listen(
            InetSocketAddress address, Dispatcher dispatcher, Supplier<SslContext> tls) {
        ServerBootstrap bootstrap =
                new ServerBootstrap()
                        .group(acceptors, loops)
                        .channel(NioServerSocketChannel.class)
                        .option(ChannelOption.SO_REUSEADDR, true)
                        .option(ChannelOption.SO_BACKLOG, 1024)
                        .childOption(ChannelOption.TCP_NODELAY, true)
                        .childOption(ChannelOption.WRITE_BUFFER_WATER_MARK, BUFFERED)
                        .childHandler(new Pipeline(dispatcher, tls));
        ChannelFuture bound = bootstrap.bind(address).awaitUninterruptibly();
        if (!bound.isSuccess()) {
            throw new LoraConfigurationException(
                    "cannot listen on "
                            + address.getHostString()
                            + ":"
                            + address.getPort()
                            + ": "
                            + bound.cause().getMessage(),
                    bound.cause());
        }
        Channel channel = bound.channel();
        listening.add(channel);
        return (InetSocketAddress) channel.localAddress();
    }

    /**
     * Returns how many connections are open.
     *
     * @return the number
     */
    public int connections() {
        return connections.size();
    }

    /**
     * Takes no more connections, closes those that are idle, and waits until the others have been
     * answered.
     *
     * @param time the longest time to wait
     * @return whether all have been answered
     * @throws InterruptedException if the thread was interrupted while it waited
     */
    public boolean drain(Duration time) throws InterruptedException {
        context.draining().set(true);
        listening.close().awaitUninterruptibly();
        long end = System.nanoTime() + time.toNanos();
        while (true) {
            List<Channel> open = new ArrayList<>(connections);
            for (Channel channel : open) {
                channel.eventLoop().execute(() -> closeIfIdle(channel));
            }
            if (connections.isEmpty()) {
                return true;
            }
            if (System.nanoTime() > end) {
                return false;
            }
            Thread.sleep(20);
        }
    }

    private static void closeIfIdle(Channel channel) {
        Connection connection = channel.pipeline().get(Connection.class);
        if (connection == null || connection.isIdle()) {
            channel.close();
        }
    }

    /** Ends all connections at once. */
    @Override
    public void close() {
        listening.close().awaitUninterruptibly();
        connections.close().awaitUninterruptibly();
        workers.shutdown();
        acceptors.shutdownGracefully(0, 1, TimeUnit.SECONDS).awaitUninterruptibly();
        loops.shutdownGracefully(0, 1, TimeUnit.SECONDS).awaitUninterruptibly();
        try {
            workers.awaitTermination(5, TimeUnit.SECONDS);
            Files.deleteIfExists(context.uploads());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Sets up new connections. */
    private final class Pipeline extends ChannelInitializer<SocketChannel> {

        private final Dispatcher dispatcher;
        private final Supplier<SslContext> tls;

        Pipeline(Dispatcher dispatcher, Supplier<SslContext> tls) {
            this.dispatcher = dispatcher;
            this.tls = tls;
        }

        /** {@inheritDoc} */
        @Override
        protected void initChannel(SocketChannel channel) {
            if (connections.size() >= context.limits().connections()) {
                channel.close();
                return;
            }
            connections.add(channel);
            if (tls != null) {
                channel.pipeline().addLast(tls.get().newHandler(channel.alloc()));
            }
            HttpDecoderConfig config =
                    new HttpDecoderConfig()
                            .setMaxInitialLineLength(context.limits().headerBytes())
                            .setMaxHeaderSize(context.limits().headerBytes());
            channel.pipeline()
                    .addLast(new HttpServerCodec(config))
                    .addLast(new Connection(dispatcher, context));
        }
    }
}
