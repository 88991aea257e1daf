/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.security;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.server.DemoServer;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.Key;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.time.Duration;
import java.util.Base64;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;
import org.testng.Assert;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.Test;

/** Tests connections that are secured, with a certificate made for the test. */
public class TlsTest {

    private static final char[] PASSWORD = "changeit".toCharArray();

    private Path folder;
    private Path certificate;
    private Path key;
    private SSLContext client;
    private Pair first;
    private Pair second;

    /** A certificate, and its key. */
    private record Pair(Certificate certificate, Key key) {}

    @BeforeClass
    public void makeCertificates() throws Exception {
        folder = Files.createTempDirectory("djl-lora-tls-");
        first = makePair("first", "EC");
        second = makePair("second", "RSA");
        certificate = pem("certificate.pem", first.certificate());
        key = pem("key.pem", first.key());
        KeyStore trusted = KeyStore.getInstance("PKCS12");
        trusted.load(null, null);
        trusted.setCertificateEntry("first", first.certificate());
        trusted.setCertificateEntry("second", second.certificate());
        TrustManagerFactory trust =
                TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(trusted);
        client = SSLContext.getInstance("TLS");
        client.init(null, trust.getTrustManagers(), null);
    }

    private Pair makePair(String name, String algorithm) throws Exception {
        Path store = folder.resolve(name + ".p12");
        Process keytool =
                new ProcessBuilder(
                                Path.of(System.getProperty("java.home"), "bin", "keytool")
                                        .toString(),
                                "-genkeypair",
                                "-alias",
                                "server",
                                "-keyalg",
                                algorithm,
                                "-dname",
                                "CN=localhost",
                                "-ext",
                                "san=dns:localhost,ip:127.0.0.1",
                                "-storetype",
                                "PKCS12",
                                "-keystore",
                                store.toString(),
                                "-storepass",
                                new String(PASSWORD))
                        .redirectErrorStream(true)
                        .start();
        Assert.assertTrue(keytool.waitFor(60, TimeUnit.SECONDS), "keytool");
        KeyStore keys = KeyStore.getInstance("PKCS12");
        try (InputStream in = Files.newInputStream(store)) {
            keys.load(in, PASSWORD);
        }
        return new Pair(keys.getCertificate("server"), keys.getKey("server", PASSWORD));
    }

    private Path pem(String name, Certificate made) throws Exception {
        return pem(name, "CERTIFICATE", made.getEncoded());
    }

    private Path pem(String name, Key made) throws IOException {
        return pem(name, "PRIVATE KEY", made.getEncoded());
    }

    private Path pem(String name, String kind, byte[] bytes) throws IOException {
        String text = Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(bytes);
        return Files.writeString(
                folder.resolve(name),
                "-----BEGIN " + kind + "-----\n" + text + "\n-----END " + kind + "-----\n");
    }

    @AfterClass(alwaysRun = true)
    public void removeFolder() throws IOException {
        try (var files = Files.list(folder)) {
            for (Path file : files.toList()) {
                Files.delete(file);
            }
        }
        Files.delete(folder);
    }

    @Test
    public void testSecured() throws Exception {
        SecurityOptions security =
                SecurityOptions.builder().optTls(new TlsOptions(certificate, key)).build();
        try (DemoServer demo = new DemoServer(builder -> builder.optSecurity(security))) {
            Assert.assertEquals(demo.server().uri().getScheme(), "https");
            int port = demo.server().uri().getPort();
            for (String protocol : new String[] {"TLSv1.2", "TLSv1.3"}) {
                Assert.assertTrue(get(port, protocol).startsWith("HTTP/1.1 200"), protocol);
            }
            Assert.expectThrows(SSLException.class, () -> get(port, "TLSv1.1"));
            try (Socket plain = new Socket("127.0.0.1", port)) {
                plain.setSoTimeout(20_000);
                plain.getOutputStream()
                        .write("GET / HTTP/1.1\r\n\r\n".getBytes(StandardCharsets.UTF_8));
                String answer =
                        new String(plain.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
                Assert.assertFalse(answer.startsWith("HTTP"), answer);
            }
            // who does not speak TLS hurts nobody else
            Assert.assertTrue(get(port, "TLSv1.3").startsWith("HTTP/1.1 200"), "after");
        }
    }

    private String get(int port, String protocol) throws IOException {
        try (SSLSocket socket =
                (SSLSocket) client.getSocketFactory().createSocket("127.0.0.1", port)) {
            socket.setSoTimeout(20_000);
            socket.setEnabledProtocols(new String[] {protocol});
            socket.getOutputStream()
                    .write(
                            ("GET /health/live HTTP/1.1\r\nHost: localhost\r\n"
                                            + "Connection: close\r\n\r\n")
                                    .getBytes(StandardCharsets.UTF_8));
            return new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    @Test
    public void testRenewed() throws Exception {
        Path renewed = pem("renewed.pem", first.certificate());
        Path secret = pem("renewed-key.pem", first.key());
        TlsOptions tls = new TlsOptions(renewed, secret, Duration.ofMillis(20));
        SecurityOptions security = SecurityOptions.builder().optTls(tls).build();
        try (DemoServer demo = new DemoServer(builder -> builder.optSecurity(security));
                SSLSocket open = connect(demo.server().uri().getPort())) {
            int port = demo.server().uri().getPort();
            Assert.assertEquals(peer(open), first.certificate());
            ask(open);
            Files.writeString(renewed, "-----BEGIN CERTIFICATE-----\nbroken");
            assertPeer(port, first);
            pem("renewed.pem", second.certificate());
            // the key is still the other's
            Assert.expectThrows(LoraConfigurationException.class, tls::open);
            for (int i = 0; i < 10; ++i) {
                assertPeer(port, first);
                Thread.sleep(20);
            }
            pem("renewed-key.pem", second.key());
            long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
            Certificate found = first.certificate();
            while (found.equals(first.certificate()) && System.nanoTime() < end) {
                try (SSLSocket socket = connect(port)) {
                    found = peer(socket);
                    ask(socket);
                }
            }
            Assert.assertEquals(found, second.certificate());
            // a connection that was open goes on
            ask(open);
            Assert.assertEquals(peer(open), first.certificate());
        }
    }

    private SSLSocket connect(int port) throws IOException {
        SSLSocket socket = (SSLSocket) client.getSocketFactory().createSocket("127.0.0.1", port);
        socket.setSoTimeout(60_000);
        return socket;
    }

    private static Certificate peer(SSLSocket socket) throws IOException {
        return socket.getSession().getPeerCertificates()[0];
    }

    private void assertPeer(int port, Pair expected) throws IOException {
        try (SSLSocket socket = connect(port)) {
            Assert.assertEquals(peer(socket), expected.certificate());
            ask(socket);
        }
    }

    /** Sends a request on a connection that stays open, and reads the answer. */
    private static void ask(SSLSocket socket) throws IOException {
        socket.getOutputStream()
                .write(
                        "GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n"
                                .getBytes(StandardCharsets.UTF_8));
        StringBuilder answer = new StringBuilder();
        while (answer.indexOf("\r\n\r\n") < 0) {
            int read = socket.getInputStream().read();
            Assert.assertTrue(read >= 0, "the connection ended: " + answer);
            answer.append((char) read);
        }
        Assert.assertTrue(answer.toString().startsWith("HTTP/1.1 200"), answer.toString());
    }

    @Test
    public void testFilesThatAreWrong() throws Exception {
        Path nothing = folder.resolve("nothing.pem");
        LoraConfigurationException missing =
                Assert.expectThrows(
                        LoraConfigurationException.class,
                        () -> new TlsOptions(certificate, nothing).open());
        Assert.assertTrue(missing.getMessage().contains("nothing.pem"), missing.getMessage());
        LoraConfigurationException swapped =
                Assert.expectThrows(
                        LoraConfigurationException.class,
                        () -> new TlsOptions(key, certificate).open());
        Assert.assertTrue(swapped.getMessage().contains("PKCS #8"), swapped.getMessage());
        Path other = pem("other-key.pem", makePair("third", "EC").key());
        LoraConfigurationException another =
                Assert.expectThrows(
                        LoraConfigurationException.class,
                        () -> new TlsOptions(certificate, other).open());
        Assert.assertTrue(
                another.getMessage().contains("another certificate's"), another.getMessage());
    }
}
