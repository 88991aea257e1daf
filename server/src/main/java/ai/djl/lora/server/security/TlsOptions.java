/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.security;

import ai.djl.lora.LoraConfigurationException;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslProvider;
import java.nio.file.Files;
import java.nio.file.Path;
import javax.net.ssl.SSLException;

/**
 * How connections are secured: by TLS 1.2 or 1.3.
 *
 * @param certificate a file with the certificate and those it rests on, in PEM form
 * @param key a file with the certificate's key, in PEM form (PKCS #8, not encrypted)
 */
public record TlsOptions(Path certificate, Path key) {

    /**
     * Reads the files.
     *
     * @return what secures connections
     * @throws LoraConfigurationException if a file cannot be read, or is not what it should be
     */
    public SslContext open() {
        for (Path file : new Path[] {certificate, key}) {
            if (!Files.isReadable(file)) {
                throw new LoraConfigurationException(file + ": cannot be read");
            }
        }
        try {
            return SslContextBuilder.forServer(certificate.toFile(), key.toFile())
                    .sslProvider(SslProvider.JDK)
                    .protocols("TLSv1.3", "TLSv1.2")
                    .build();
        } catch (SSLException | IllegalArgumentException e) {
            throw new LoraConfigurationException(
                    certificate
                            + " and "
                            + key
                            + ": are no certificate and its key ("
                            + e.getMessage()
                            + "); expected PEM files, the key as PKCS #8 and not encrypted",
                    e);
        }
    }
}
