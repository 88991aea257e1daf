/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.security;

import ai.djl.lora.LoraConfigurationException;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslProvider;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.Signature;
import java.security.SignatureException;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.time.Duration;
import java.util.Base64;
import java.util.regex.Pattern;

/**
 * How connections are secured: by TLS 1.2 or 1.3.
 *
 * @param certificate a file with the certificate and those it rests on, in PEM form
 * @param key a file with the certificate's key, in PEM form (PKCS #8, not encrypted)
 * @param reload how often the files are looked at, so that a certificate can be renewed while
 *     connections go on
 */
public record TlsOptions(Path certificate, Path key, Duration reload) {

    /** How often the files are looked at where nothing else is said. */
    public static final Duration DEFAULT_RELOAD = Duration.ofSeconds(30);

    private static final Pattern PEM = Pattern.compile("-----[A-Z ]+-----");

    /**
     * Constructs a new {@code TlsOptions} instance.
     *
     * @param certificate a file with the certificate and those it rests on, in PEM form
     * @param key a file with the certificate's key, in PEM form (PKCS #8, not encrypted)
     */
    public TlsOptions(Path certificate, Path key) {
        this(certificate, key, DEFAULT_RELOAD);
    }

    /**
     * Reads the files.
     *
     * @return what secures connections
     * @throws LoraConfigurationException if a file cannot be read, is not what it should be, or the
     *     key is another certificate's
     */
    public SslContext open() {
        for (Path file : new Path[] {certificate, key}) {
            if (!Files.isReadable(file)) {
                throw new LoraConfigurationException(file + ": cannot be read");
            }
        }
        try {
            checkPair();
            return SslContextBuilder.forServer(certificate.toFile(), key.toFile())
                    .sslProvider(SslProvider.JDK)
                    .protocols("TLSv1.3", "TLSv1.2")
                    .build();
        } catch (IOException | GeneralSecurityException | IllegalArgumentException e) {
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

    /* Whoever replaces the files replaces one after the other. */
    private void checkPair() throws IOException, GeneralSecurityException {
        PublicKey open;
        try (InputStream in = Files.newInputStream(certificate)) {
            open =
                    CertificateFactory.getInstance("X.509")
                            .generateCertificate(in)
                            .getPublicKey();
        }
        String kind = open.getAlgorithm();
        String algorithm =
                switch (kind) {
                    case "RSA" -> "SHA256withRSA";
                    case "EC" -> "SHA256withECDSA";
                    default -> kind;
                };
        byte[] bytes =
                Base64.getMimeDecoder()
                        .decode(PEM.matcher(Files.readString(key)).replaceAll("").strip());
        Signature signature = Signature.getInstance(algorithm);
        signature.initSign(
                KeyFactory.getInstance(kind).generatePrivate(new PKCS8EncodedKeySpec(bytes)));
        signature.update(bytes, 0, 1);
        byte[] signed = signature.sign();
        signature.initVerify(open);
        signature.update(bytes, 0, 1);
        if (!signature.verify(signed)) {
            throw new SignatureException("the key is another certificate's");
        }
    }
}
