/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.lora.safetensors.SafetensorsFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;

/** Token ids and what transformers answers to them. */
record Golden(long[] ids, int batch, int length, float[] logits, int vocabSize) {

    static Golden read(Path path) {
        try (SafetensorsFile file = SafetensorsFile.open(path)) {
            long[] shape = file.tensor("logits").shape();
            ByteBuffer idBytes = bytes(file, "input_ids");
            long[] ids = new long[idBytes.remaining() / Long.BYTES];
            idBytes.asLongBuffer().get(ids);
            ByteBuffer logitBytes = bytes(file, "logits");
            float[] logits = new float[logitBytes.remaining() / Float.BYTES];
            logitBytes.asFloatBuffer().get(logits);
            return new Golden(ids, (int) shape[0], (int) shape[1], logits, (int) shape[2]);
        }
    }

    private static ByteBuffer bytes(SafetensorsFile file, String name) {
        return ByteBuffer.wrap(file.read(file.tensor(name))).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** Returns the tokens of a row. */
    int[] row(int index) {
        int[] tokens = new int[length];
        for (int i = 0; i < length; ++i) {
            tokens[i] = (int) ids[index * length + i];
        }
        return tokens;
    }

    /** Returns the token with the highest logit at each position. */
    static int[] top(float[] logits, int vocabSize) {
        int[] top = new int[logits.length / vocabSize];
        for (int i = 0; i < top.length; ++i) {
            for (int token = 1; token < vocabSize; ++token) {
                if (logits[i * vocabSize + token] > logits[i * vocabSize + top[i]]) {
                    top[i] = token;
                }
            }
        }
        return top;
    }
}
