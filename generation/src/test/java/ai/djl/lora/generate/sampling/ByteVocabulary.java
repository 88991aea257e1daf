/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/**
 * A vocabulary as a byte-level tokenizer has it: every byte, some longer tokens that begin or end
 * inside a character, two ids for one text, and ids that are no text.
 */
final class ByteVocabulary implements Vocabulary {

    static final int END = 0;

    private static final String SOURCE =
            "{\"name\": \"Zoë\", \"tags\": [\"a\", \"日本\", \"🙂🙃\"], \"n\": -12.5e+3, \"ok\": true,"
                    + " \"x\": null, \"id\": false}, {\"text\":\"\\n\\\"\\\\\",\"list\":[1,2,[3,{}]]}"
                    + " red green blue yes no maybe 2024-05-06 info@example.com";

    private final List<byte[]> tokens = new ArrayList<>();

    ByteVocabulary() {
        tokens.add(null);
        tokens.add(new byte[0]);
        for (int b = 0; b < 256; ++b) {
            tokens.add(new byte[] {(byte) b});
        }
        byte[] source = SOURCE.getBytes(StandardCharsets.UTF_8);
        Random random = new Random(5);
        for (int i = 0; i < 400; ++i) {
            int from = random.nextInt(source.length - 6);
            tokens.add(Arrays.copyOfRange(source, from, from + 2 + random.nextInt(5)));
        }
        tokens.add("true".getBytes(StandardCharsets.UTF_8));
        tokens.add("true".getBytes(StandardCharsets.UTF_8));
        tokens.add(null);
    }

    /** {@inheritDoc} */
    @Override
    public int size() {
        return tokens.size();
    }

    /** {@inheritDoc} */
    @Override
    public byte[] bytes(int token) {
        return tokens.get(token);
    }
}
