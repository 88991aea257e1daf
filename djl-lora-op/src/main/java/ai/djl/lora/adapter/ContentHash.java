/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import ai.djl.lora.tensor.HostTensor;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.TreeMap;

/** Names an adapter's content, so that the same numbers have the same name. */
final class ContentHash {

    /** Part of what is hashed, so that a change of the scheme changes every name. */
    private static final String SCHEME = "djl-lora revision 1, LORA";

    private ContentHash() {}

    /**
     * Returns the hash of changes; see {@link LoraAdapter#revision}.
     *
     * @param changes what the adapter changes
     * @return SHA-256 in hexadecimal digits
     */
    static String of(AdapterChanges changes) {
        StringBuilder lines = new StringBuilder(SCHEME).append('\n');
        new TreeMap<>(changes.linears())
                .forEach(
                        (module, change) -> {
                            LoraWeights part = change.product();
                            // a name's length keeps one with a line break from posing as two lines
                            lines.append(module.length()).append(' ').append(module);
                            lines.append(" scale ");
                            lines.append(Integer.toHexString(Float.floatToIntBits(part.scale())));
                            append(lines.append(" A "), part.a());
                            append(lines.append(" B "), part.b());
                            lines.append('\n');
                        });
        return sha256(lines.toString().getBytes(StandardCharsets.UTF_8));
    }

    private static void append(StringBuilder lines, HostTensor tensor) {
        lines.append(tensor.type().label())
                .append(Arrays.toString(tensor.shape()))
                .append(sha256(tensor.data()));
    }

    private static String sha256(byte[] data) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(data));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("Every Java platform has SHA-256", e);
        }
    }
}
