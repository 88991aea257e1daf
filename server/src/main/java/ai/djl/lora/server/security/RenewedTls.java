/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.security;

import ai.djl.lora.LoraConfigurationException;
import io.netty.handler.ssl.SslContext;
import io.netty.util.concurrent.DefaultThreadFactory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What secures new connections: the certificate that the files had when they were last sound.
 * Connections that are open keep the one that they began with. Files that cannot be used are looked
 * at again until they can.
 */
public final class RenewedTls implements Supplier<SslContext>, AutoCloseable {

    private static final Logger logger = LoggerFactory.getLogger(RenewedTls.class);

    private final TlsOptions options;
    private final ScheduledExecutorService poller =
            Executors.newSingleThreadScheduledExecutor(
                    new DefaultThreadFactory("djl-lora-tls", true));
    private volatile SslContext current;

    /** What the files were when they were read; of the poller's thread alone from the start on. */
    private List<Object> seen;

    private String told = "";

    /**
     * Constructs a new {@code RenewedTls} instance.
     *
     * @param options the files, and how often they are looked at
     * @throws LoraConfigurationException if they cannot be used from the beginning
     */
    public RenewedTls(TlsOptions options) {
        this.options = options;
        seen = state();
        current = options.open();
        long nanos = options.reload().toNanos();
        poller.scheduleWithFixedDelay(this::look, nanos, nanos, TimeUnit.NANOSECONDS);
    }

    /** {@inheritDoc} */
    @Override
    public SslContext get() {
        return current;
    }

    private void look() {
        List<Object> now = state();
        if (now.equals(seen)) {
            return;
        }
        try {
            current = options.open();
            seen = now;
            told = "";
            logger.info("The certificate of {} is used from now on", options.certificate());
        } catch (LoraConfigurationException e) {
            // one file may have been replaced and the other not yet; once is enough to be told
            if (!Objects.equals(told, e.getMessage())) {
                told = e.getMessage();
                logger.warn("The certificate stays as it is: {}", told);
            }
        }
    }

    /** Returns what changes when the files do; what a link leads to is looked at. */
    private List<Object> state() {
        return List.of(state(options.certificate()), state(options.key()));
    }

    private static Object state(Path file) {
        try {
            BasicFileAttributes found = Files.readAttributes(file, BasicFileAttributes.class);
            return List.of(
                    found.lastModifiedTime(), found.size(), String.valueOf(found.fileKey()));
        } catch (IOException e) {
            return e.getClass();
        }
    }

    /** Looks no more. */
    @Override
    public void close() {
        poller.shutdownNow();
    }
}
