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

    @BeforeClass
    public void makeCertificate() throws Exception {
        folder = Files.createTempDirectory("djl-lora-tls-");
        Path store = folder.resolve("store.p12");
        Process keytool =
                new ProcessBuilder(
                                Path.of(System.getProperty("java.home"), "bin", "keytool")
                                        .toString(),
                                "-genkeypair",
                                "-alias",
                                "server",
                                "-keyalg",
                                "EC",
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
        Certificate made = keys.getCertificate("server");
        certificate = pem("certificate.pem", "CERTIFICATE", made.getEncoded());
        Key secret = keys.getKey("server", PASSWORD);
        key = pem("key.pem", "PRIVATE KEY", secret.getEncoded());
        KeyStore trusted = KeyStore.getInstance("PKCS12");
        trusted.load(null, null);
        trusted.setCertificateEntry("server", made);
        TrustManagerFactory trust =
                TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(trusted);
        client = SSLContext.getInstance("TLS");
        client.init(null, trust.getTrustManagers(), null);
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
    }
}
