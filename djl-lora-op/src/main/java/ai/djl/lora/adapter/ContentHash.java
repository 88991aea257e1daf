/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import ai.djl.lora.safetensors.TensorInfo;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Map;
import java.util.TreeMap;

/** Names an adapter's content, so that the same numbers have the same name. */
final class ContentHash {

    /** Part of what is hashed, so that a change of the scheme changes every name. */
    private static final String SCHEME = "djl-lora revision 2";

    private ContentHash() {}

    /**
     * Returns the hash of an adapter; see {@link LoraAdapter#revision}.
     *
     * @param peftType the adapter's type
     * @param settings what of the configuration changes what it computes
     * @param tensors the tensors by their normalised names
     * @param digests the SHA-256 of each tensor's bytes, by the same names
     * @return SHA-256 in hexadecimal digits
     */
    static String of(
            String peftType,
            Map<String, String> settings,
            Map<String, TensorInfo> tensors,
            Map<String, String> digests) {
        StringBuilder lines = new StringBuilder(SCHEME).append('\n');
        append(lines, "type", peftType);
        new TreeMap<>(settings).forEach((key, value) -> append(lines, "setting " + key, value));
        new TreeMap<>(tensors)
                .forEach(
                        (name, tensor) ->
                                append(
                                        lines,
                                        "tensor " + name,
                                        tensor.type()
                                                + Arrays.toString(tensor.shape())
                                                + digests.get(name)));
        return HexFormat.of()
                .formatHex(newDigest().digest(lines.toString().getBytes(StandardCharsets.UTF_8)));
    }

    /* A key's length keeps one with a line break from posing as two lines. */
    private static void append(StringBuilder lines, String key, String value) {
        lines.append(key.length()).append(' ').append(key).append(' ').append(value).append('\n');
    }

    /** Returns a new SHA-256. */
    static MessageDigest newDigest() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("Every Java platform has SHA-256", e);
        }
    }
}
