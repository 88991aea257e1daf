/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.safetensors.SafetensorsFile;
import ai.djl.lora.safetensors.SafetensorsType;
import ai.djl.lora.safetensors.TensorInfo;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.TreeSet;

/**
 * A golden file: {@code input_ids} and the {@code logits} that another program computed for them.
 */
public final class GoldenLogits {

    private static final String IDS = "input_ids";
    private static final String LOGITS = "logits";

    private final Path path;
    private final TensorInfo ids;
    private final TensorInfo logits;
    private final ByteBuffer idBytes;
    private final ByteBuffer logitBytes;

    private GoldenLogits(SafetensorsFile file) {
        path = file.path();
        for (String name : new TreeSet<>(file.tensors().keySet())) {
            // An attention mask for instance: to leave it out would compare something else.
            if (!IDS.equals(name) && !LOGITS.equals(name)) {
                throw failure(
                        "tensor \"" + name + "\" is not used; expected input_ids and logits alone");
            }
        }
        ids = tensor(file, IDS, 2, SafetensorsType.I64, SafetensorsType.I32);
        logits = tensor(file, LOGITS, 3, SafetensorsType.F32);
        if (logits.shape()[0] != ids.shape()[0] || logits.shape()[1] != ids.shape()[1]) {
            throw failure(
                    "logits has shape "
                            + Arrays.toString(logits.shape())
                            + " and input_ids "
                            + Arrays.toString(ids.shape())
                            + "; expected the same batch and sequence");
        }
        idBytes = read(file, ids);
        logitBytes = read(file, logits);
    }

    /**
     * Reads a golden file.
     *
     * @param path the safetensors file: {@code input_ids}, int64 or int32 [batch, sequence], and
     *     {@code logits}, float32 [batch, sequence, vocabulary], of less than 2 GiB
     * @return what it holds
     * @throws LoraConfigurationException if it is not such a file
     */
    public static GoldenLogits read(Path path) {
        try (SafetensorsFile file = SafetensorsFile.open(path)) {
            return new GoldenLogits(file);
        }
    }

    /**
     * Returns the number of rows.
     *
     * @return the batch size
     */
    public int batch() {
        return (int) ids.shape()[0];
    }

    /**
     * Returns the number of tokens in each row.
     *
     * @return the length
     */
    public int sequence() {
        return (int) ids.shape()[1];
    }

    /**
     * Returns the number of logits at each position.
     *
     * @return the size of the vocabulary
     */
    public int vocabulary() {
        return (int) logits.shape()[2];
    }

    /**
     * Checks that a model can run the rows.
     *
     * @param vocabSize the size of the model's vocabulary
     * @param positions the number of the model's positions
     * @throws LoraConfigurationException if it cannot
     */
    public void checkFits(int vocabSize, int positions) {
        if (vocabulary() != vocabSize) {
            throw failure(
                    "logits has shape "
                            + Arrays.toString(logits.shape())
                            + "; expected "
                            + vocabSize
                            + " logits at each position, as the model's vocabulary has tokens");
        }
        if (sequence() > positions) {
            throw failure(
                    "input_ids has shape "
                            + Arrays.toString(ids.shape())
                            + "; expected at most "
                            + positions
                            + " tokens a row, as the model has positions");
        }
        for (int row = 0; row < batch(); ++row) {
            long[] tokens = longs(row);
            for (int i = 0; i < tokens.length; ++i) {
                if (tokens[i] < 0 || tokens[i] >= vocabSize) {
                    throw failure(
                            "input_ids["
                                    + row
                                    + ", "
                                    + i
                                    + "] is "
                                    + tokens[i]
                                    + "; expected 0 to "
                                    + (vocabSize - 1)
                                    + ", the model's vocabulary");
                }
            }
        }
    }

    /**
     * Returns the tokens of a row.
     *
     * @param row the row
     * @return token ids [sequence]
     */
    public int[] tokens(int row) {
        return Arrays.stream(longs(row)).mapToInt(Math::toIntExact).toArray();
    }

    /**
     * Returns the logits of a row.
     *
     * @param row the row
     * @return finite values [sequence * vocabulary]
     * @throws LoraConfigurationException if one of them is not finite
     */
    public float[] logits(int row) {
        float[] values = new float[Math.multiplyExact(sequence(), vocabulary())];
        logitBytes.asFloatBuffer().get(row * values.length, values);
        for (int i = 0; i < values.length; ++i) {
            if (!Float.isFinite(values[i])) {
                throw failure(
                        "logits["
                                + row
                                + ", "
                                + i / vocabulary()
                                + ", "
                                + i % vocabulary()
                                + "] is "
                                + values[i]
                                + "; expected finite values");
            }
        }
        return values;
    }

    /**
     * Returns how likely each token of a row is, by the logits before it.
     *
     * @param row the row
     * @return the natural logarithm of the probability of each token but the first, [sequence - 1]
     * @throws LoraConfigurationException if a logit is not finite
     */
    public double[] logProbs(int row) {
        int[] tokens = tokens(row);
        float[] values = logits(row);
        double[] logProbs = new double[tokens.length - 1];
        for (int i = 0; i < logProbs.length; ++i) {
            int from = i * vocabulary();
            double largest = Double.NEGATIVE_INFINITY;
            for (int j = 0; j < vocabulary(); ++j) {
                largest = Math.max(largest, values[from + j]);
            }
            double sum = 0;
            for (int j = 0; j < vocabulary(); ++j) {
                sum += Math.exp(values[from + j] - largest);
            }
            logProbs[i] = values[from + tokens[i + 1]] - largest - Math.log(sum);
        }
        return logProbs;
    }

    private long[] longs(int row) {
        long[] values = new long[sequence()];
        int start = row * sequence();
        for (int i = 0; i < values.length; ++i) {
            values[i] =
                    ids.type() == SafetensorsType.I64
                            ? idBytes.getLong((start + i) * Long.BYTES)
                            : idBytes.getInt((start + i) * Integer.BYTES);
        }
        return values;
    }

    private static ByteBuffer read(SafetensorsFile file, TensorInfo tensor) {
        return ByteBuffer.wrap(file.read(tensor)).order(ByteOrder.LITTLE_ENDIAN);
    }

    private TensorInfo tensor(
            SafetensorsFile file, String name, int dimensions, SafetensorsType... types) {
        TensorInfo tensor = file.tensor(name);
        if (!Arrays.asList(types).contains(tensor.type())) {
            throw failure(
                    name
                            + " is of type "
                            + tensor.type()
                            + "; expected "
                            + String.join(
                                    " or ",
                                    Arrays.stream(types).map(Enum::name).toArray(String[]::new)));
        }
        long[] shape = tensor.shape();
        if (shape.length != dimensions
                || Arrays.stream(shape).anyMatch(n -> n < 1 || n > Integer.MAX_VALUE)) {
            throw failure(
                    name
                            + " has shape "
                            + Arrays.toString(shape)
                            + "; expected "
                            + dimensions
                            + " dimensions, none of them empty");
        }
        return tensor;
    }

    private LoraConfigurationException failure(String message) {
        return new LoraConfigurationException(path + ": " + message);
    }
}
