/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.security;

import ai.djl.lora.LoraConfigurationException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.SecureRandom;
import java.util.Base64;
import java.util.HexFormat;

/**
 * What is kept of an API key: its SHA-256, from which a key of 256 random bits cannot be found. A
 * slow hash would protect keys that people think up, of which none is accepted: keys are made by
 * {@link #newKey}, and shorter ones than {@link #LEAST_LENGTH} never match.
 */
public final class KeyHash {

    /** The characters that a key has at least. */
    public static final int LEAST_LENGTH = 32;

    private static final String PREFIX = "sha256:";
    private static final int KEY_BYTES = 32;
    private static final SecureRandom RANDOM = new SecureRandom();

    private final byte[] digest;

    private KeyHash(byte[] digest) {
        this.digest = digest;
    }

    /**
     * Makes a key of 256 random bits.
     *
     * @return the key, to be shown once and not to be kept
     */
    public static String newKey() {
        byte[] bytes = new byte[KEY_BYTES];
        RANDOM.nextBytes(bytes);
        return "djl_" + Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
    }

    /**
     * Hashes a key.
     *
     * @param key the key
     * @return its hash
     * @throws LoraConfigurationException if the key is shorter than {@link #LEAST_LENGTH}
     */
    public static KeyHash of(String key) {
        if (key.length() < LEAST_LENGTH) {
            throw new LoraConfigurationException(
                    "the key has "
                            + key.length()
                            + " characters; it must be random, of "
                            + LEAST_LENGTH
                            + " or more");
        }
        return new KeyHash(sha256(key));
    }

    /**
     * Reads a hash.
     *
     * @param text the hash as {@link #toString} writes it
     * @return the hash
     * @throws LoraConfigurationException if it is none
     */
    public static KeyHash parse(String text) {
        try {
            if (text.startsWith(PREFIX)) {
                byte[] digest = HexFormat.of().parseHex(text.substring(PREFIX.length()));
                if (digest.length == 32) {
                    return new KeyHash(digest);
                }
            }
        } catch (IllegalArgumentException e) {
            // told below, without the text: it may be the key itself
        }
        throw new LoraConfigurationException(
                "a key's hash must be sha256: and 64 hexadecimal digits, as 'djl-lora config key'"
                        + " writes it");
    }

    /** Returns the digest of a key, whatever its length. */
    static byte[] sha256(String key) {
        try {
            return MessageDigest.getInstance("SHA-256")
                    .digest(key.getBytes(StandardCharsets.UTF_8));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JVM has SHA-256", e);
        }
    }

    /** Compares with a key's digest, in a time that does not tell where they differ. */
    boolean matches(byte[] other) {
        return MessageDigest.isEqual(digest, other);
    }

    /** {@inheritDoc} */
    @Override
    public String toString() {
        return PREFIX + HexFormat.of().formatHex(digest);
    }
}
