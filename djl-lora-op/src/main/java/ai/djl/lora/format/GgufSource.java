/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.LoraVariantException;
import ai.djl.lora.json.Message;
import ai.djl.lora.safetensors.TensorInfo;
import ai.djl.lora.tensor.HalfPrecision;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * The tensors of a LoRA adapter that llama.cpp's {@code convert_lora_to_gguf.py} wrote.
 *
 * <p>What the converter did is undone: the order of the rows of Llama's query and key projections,
 * and the transposed first matrix of an embedding. Q8_0 is given out as float32.
 */
final class GgufSource implements TensorSource {

    private static final String ALPHA = "adapter.lora.alpha";
    private static final String INVOCATION = "adapter.alora.invocation_tokens";

    private final Path path;
    private final DataChannel file;
    private final GgufFile gguf;
    private final Map<String, TensorInfo> tensors = new LinkedHashMap<>();
    private final Map<String, GgufNames.Target> targets = new LinkedHashMap<>();
    private final Map<String, Integer> heads = new LinkedHashMap<>();

    private GgufSource(
            Path path, DataChannel file, FormatLimits limits, Optional<FormatHints> hints) {
        this.path = path;
        this.file = file;
        gguf = new GgufFile(file, limits);
        expect("general.type", "adapter");
        expect("adapter.type", "lora");
        String architecture = required("general.architecture");
        GgufNames.checkArchitecture(file, architecture);
        for (GgufTensor tensor : gguf.tensors().values()) {
            GgufNames.Target target = GgufNames.of(file, tensor.name());
            if (architecture.equals(GgufNames.LLAMA)) {
                noteHeads(tensor, target.part(), hints);
            }
            targets.put(tensor.name(), target);
            tensors.put(tensor.name(), describe(tensor, target.part()));
        }
        limits.check(path, tensors.values());
    }

    /**
     * Opens a file and checks what it says of its tensors.
     *
     * @param path the file
     * @param limits how much it may ask for
     * @param hints what only the base model knows, empty where it is not known
     */
    static GgufSource open(Path path, FormatLimits limits, Optional<FormatHints> hints) {
        return open(path, DataChannel.open(path), limits, hints);
    }

    /** Opens what a channel holds, which the source owns from then on, also when this fails. */
    static GgufSource open(
            Path path, DataChannel file, FormatLimits limits, Optional<FormatHints> hints) {
        boolean opened = false;
        try {
            GgufSource source = new GgufSource(path, file, limits, hints);
            opened = true;
            return source;
        } finally {
            if (!opened) {
                file.close();
            }
        }
    }

    /** Returns what PEFT calls a tensor of this file. */
    String peftName(String name) {
        return targets.get(name).name();
    }

    /**
     * Returns the configuration that the metadata makes.
     *
     * @param normalised this file's tensors by their normalised names
     */
    JsonObject toConfig(NormalisedTensors normalised) {
        float alpha = gguf.number(ALPHA).orElse(0f);
        LoraScales scales = new LoraScales(file.name());
        normalised
                .firstMatrices()
                .forEach(
                        (module, matrix) -> {
                            long rank = matrix.shape()[0];
                            // llama.cpp takes a scale of 1 where the alpha is 0 or absent
                            scales.add(module, rank, alpha == 0 ? rank : alpha);
                        });
        JsonObject config = scales.toConfig();
        gguf.wholes(INVOCATION)
                .ifPresent(
                        tokens -> {
                            JsonArray array = new JsonArray();
                            for (long token : tokens) {
                                array.add(token);
                            }
                            config.add("alora_invocation_tokens", array);
                        });
        return config;
    }

    /** Returns how the tensors differ from what PEFT writes, one line each. */
    List<String> notes() {
        List<String> notes = new ArrayList<>();
        notes.add("names are llama.cpp's");
        if (!heads.isEmpty()) {
            notes.add("rows of query and key projections are in llama.cpp's order");
        }
        if (gguf.tensors().values().stream().anyMatch(t -> t.type() == GgufType.Q8_0)) {
            notes.add("tensors of type Q8_0 are given as float32");
        }
        if (gguf.number(ALPHA).orElse(0f) == 0) {
            notes.add("there is no alpha, which to llama.cpp means a scale of 1");
        }
        return notes;
    }

    /** {@inheritDoc} */
    @Override
    public Path path() {
        return path;
    }

    /** {@inheritDoc} */
    @Override
    public Map<String, TensorInfo> tensors() {
        return Collections.unmodifiableMap(tensors);
    }

    /** {@inheritDoc} */
    @Override
    public byte[] read(TensorInfo info) {
        GgufTensor tensor = tensor(info);
        file.checkArray(info.size());
        byte[] data = file.read(tensor.offset(), tensor.size());
        if (tensor.type() == GgufType.Q8_0) {
            data = widen(data);
        }
        Integer count = heads.get(tensor.name());
        if (count != null) {
            return splitHalves(data, count, (int) (info.size() / info.shape()[0]));
        }
        if (targets.get(tensor.name()).part() == GgufNames.Part.EMBEDDING_COLUMNS) {
            return transpose(data, info);
        }
        return data;
    }

    /** {@inheritDoc} */
    @Override
    public void stream(TensorInfo info, Consumer<ByteBuffer> chunks) {
        GgufTensor tensor = tensor(info);
        boolean asStored =
                tensor.type() != GgufType.Q8_0
                        && !heads.containsKey(tensor.name())
                        && targets.get(tensor.name()).part() != GgufNames.Part.EMBEDDING_COLUMNS;
        if (asStored) {
            file.stream(tensor.offset(), tensor.size(), chunks);
        } else {
            DataChannel.streamArray(read(info), chunks);
        }
    }

    /** {@inheritDoc} */
    @Override
    public void close() {
        file.close();
    }

    private TensorInfo describe(GgufTensor tensor, GgufNames.Part part) {
        long[] shape = tensor.shape();
        if (shape.length != 2) {
            throw file.fail(
                    "tensor "
                            + Message.quote(tensor.name())
                            + " has "
                            + shape.length
                            + " dimensions, expected 2");
        }
        long[] given =
                part == GgufNames.Part.EMBEDDING_COLUMNS ? new long[] {shape[1], shape[0]} : shape;
        long width = tensor.type().readAs().orElseThrow().bytes();
        return new TensorInfo(
                tensor.name(),
                tensor.type().readAs().orElseThrow(),
                given,
                tensor.offset(),
                shape[0] * shape[1] * width);
    }

    /** Notes of how many heads the rows of a tensor are, and refuses what cannot be told. */
    private void noteHeads(GgufTensor tensor, GgufNames.Part part, Optional<FormatHints> hints) {
        if (part != GgufNames.Part.QUERY_ROWS && part != GgufNames.Part.KEY_ROWS) {
            return;
        }
        FormatHints known =
                hints.orElseThrow(
                        () ->
                                file.fail(
                                        "tensor "
                                                + Message.quote(tensor.name())
                                                + " has its rows in llama.cpp's order, which only"
                                                + " the base model's numbers of heads undo; they"
                                                + " are not in the file and were not given"));
        int count = part == GgufNames.Part.QUERY_ROWS ? known.heads() : known.kvHeads();
        long rows = tensor.shape().length == 0 ? 0 : tensor.shape()[0];
        if (rows == 0 || rows % (2L * count) != 0) {
            throw file.fail(
                    "tensor "
                            + Message.quote(tensor.name())
                            + " has "
                            + rows
                            + " rows, expected two halves for each of "
                            + count
                            + " heads");
        }
        heads.put(tensor.name(), count);
    }

    private void expect(String key, String value) {
        String found = required(key);
        if (!found.equals(value)) {
            throw new LoraVariantException(
                    file.name()
                            + ": "
                            + key
                            + " is "
                            + Message.quote(found)
                            + ", supported is "
                            + Message.quote(value));
        }
    }

    private String required(String key) {
        return gguf.text(key)
                .orElseThrow(() -> file.fail("the metadata has no " + Message.quote(key)));
    }

    private GgufTensor tensor(TensorInfo info) {
        if (tensors.get(info.name()) != info) {
            throw new IllegalArgumentException(
                    "The tensor " + info + " is none of the file " + file.name());
        }
        return gguf.tensors().get(info.name());
    }

    /** Multiplies each byte of a block by the block's scale, as ggml does in float32. */
    private static byte[] widen(byte[] blocks) {
        ByteBuffer from = ByteBuffer.wrap(blocks).order(ByteOrder.LITTLE_ENDIAN);
        byte[] wide = new byte[blocks.length / GgufType.BLOCK_BYTES * GgufType.BLOCK * Float.BYTES];
        ByteBuffer to = ByteBuffer.wrap(wide).order(ByteOrder.LITTLE_ENDIAN);
        while (from.hasRemaining()) {
            float scale = HalfPrecision.fromFloat16(from.getShort());
            for (int i = 0; i < GgufType.BLOCK; i++) {
                to.putFloat(scale * from.get());
            }
        }
        return wide;
    }

    /**
     * Puts the rows of each head back: llama.cpp has those of its first and its second half by
     * turns ({@code LlamaModel.permute} in {@code convert_hf_to_gguf.py}).
     */
    private static byte[] splitHalves(byte[] rows, int heads, int rowBytes) {
        if (rowBytes == 0) {
            return rows;
        }
        int half = rows.length / rowBytes / heads / 2;
        byte[] result = new byte[rows.length];
        for (int head = 0; head < heads; head++) {
            for (int side = 0; side < 2; side++) {
                for (int i = 0; i < half; i++) {
                    int from = head * 2 * half + 2 * i + side;
                    int to = head * 2 * half + side * half + i;
                    System.arraycopy(rows, from * rowBytes, result, to * rowBytes, rowBytes);
                }
            }
        }
        return result;
    }

    private static byte[] transpose(byte[] data, TensorInfo info) {
        int width = info.type().bytes();
        int rows = (int) info.shape()[0];
        int columns = (int) info.shape()[1];
        byte[] result = new byte[data.length];
        for (int row = 0; row < rows; row++) {
            for (int column = 0; column < columns; column++) {
                System.arraycopy(
                        data,
                        (column * rows + row) * width,
                        result,
                        (row * columns + column) * width,
                        width);
            }
        }
        return result;
    }
}
