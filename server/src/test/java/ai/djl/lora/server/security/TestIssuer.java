/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.security;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.crypto.MACSigner;
import com.nimbusds.jose.crypto.RSASSASigner;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jose.jwk.RSAKey;
import com.nimbusds.jose.jwk.gen.RSAKeyGenerator;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.PlainJWT;
import com.nimbusds.jwt.SignedJWT;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.UnaryOperator;

/** An issuer of tokens on this machine, whose public keys can be fetched. */
final class TestIssuer implements AutoCloseable {

    private final RSAKey key;
    private final HttpServer server;
    private final AtomicInteger fetches = new AtomicInteger();

    TestIssuer() throws IOException, JOSEException {
        key = new RSAKeyGenerator(2048).keyID("first").generate();
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        byte[] keys = new JWKSet(key.toPublicJWK()).toString().getBytes(StandardCharsets.UTF_8);
        server.createContext(
                "/keys",
                exchange -> {
                    fetches.incrementAndGet();
                    exchange.sendResponseHeaders(200, keys.length);
                    exchange.getResponseBody().write(keys);
                    exchange.close();
                });
        server.start();
    }

    String name() {
        return "https://issuer.example";
    }

    URI jwks() {
        return URI.create("http://127.0.0.1:" + server.getAddress().getPort() + "/keys");
    }

    int fetches() {
        return fetches.get();
    }

    /** Changes claims so that a token has expired. */
    static UnaryOperator<JWTClaimsSet.Builder> expiredBy(Duration time) {
        return builder -> builder.expirationTime(Date.from(Instant.now().minus(time)));
    }

    private JWTClaimsSet claims(UnaryOperator<JWTClaimsSet.Builder> change) {
        return change.apply(
                        new JWTClaimsSet.Builder()
                                .issuer(name())
                                .audience("djl-lora")
                                .subject("alice")
                                .claim("tenant", "acme")
                                .claim("adapters", List.of("upper"))
                                .claim("realm_access", Map.of("roles", List.of("infer", "other")))
                                .expirationTime(Date.from(Instant.now().plusSeconds(600))))
                .build();
    }

    /** Returns a token with other claims than the usual ones. */
    String token(UnaryOperator<JWTClaimsSet.Builder> change) throws JOSEException {
        return signed(key, claims(change));
    }

    /** Returns a token that names this issuer's key and was signed by another. */
    String foreignToken() throws JOSEException {
        return signed(
                new RSAKeyGenerator(2048).keyID("first").generate(), claims(builder -> builder));
    }

    private static String signed(RSAKey by, JWTClaimsSet claims) throws JOSEException {
        SignedJWT token =
                new SignedJWT(
                        new JWSHeader.Builder(JWSAlgorithm.RS256).keyID(by.getKeyID()).build(),
                        claims);
        token.sign(new RSASSASigner(by));
        return token.serialize();
    }

    /** Returns a token that nobody signed. */
    String unsignedToken() {
        return new PlainJWT(claims(builder -> builder)).serialize();
    }

    /** Returns a token signed by the public key, taken for a shared secret. */
    String sharedSecretToken() throws JOSEException {
        SignedJWT token =
                new SignedJWT(
                        new JWSHeader.Builder(JWSAlgorithm.HS256).keyID("first").build(),
                        claims(builder -> builder));
        token.sign(new MACSigner(key.toPublicKey().getEncoded()));
        return token.serialize();
    }

    @Override
    public void close() {
        server.stop(0);
    }
}
