/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import ai.djl.lora.safetensors.TensorInfo;
import ai.djl.lora.tensor.HalfPrecision;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The alphas that kohya's scripts, and trainers that write as they do, keep as a scalar {@code
 * <module>.alpha} beside {@code lora_down} and {@code lora_up}. The scale is alpha / rank, as in
 * PEFT, where the rank is the rows of {@code lora_down}.
 */
final class AlphaTensors {

    private final String file;
    private final NormalisedTensors tensors;
    private final Map<String, Double> alphas = new LinkedHashMap<>();

    /**
     * Reads the alphas.
     *
     * @param source what holds them
     * @param tensors its tensors by their normalised names
     */
    AlphaTensors(TensorSource source, NormalisedTensors tensors) {
        file = Message.oneLine(source.path().toString());
        this.tensors = tensors;
        tensors.alphas().forEach((module, tensor) -> alphas.put(module, read(source, tensor)));
    }

    /** Returns the configuration that the alphas and the shapes of the matrices make. */
    JsonObject toConfig() {
        LoraScales scales = new LoraScales(file);
        tensors.firstMatrices()
                .forEach(
                        (module, matrix) -> {
                            Double alpha = alphas.get(module);
                            if (alpha == null) {
                                throw new LoraConfigurationException(
                                        file
                                                + ": module "
                                                + Message.quote(module)
                                                + " has no alpha, though others of the file have"
                                                + " one");
                            }
                            if (matrix.shape().length < 2) {
                                throw new LoraConfigurationException(
                                        file
                                                + ": tensor "
                                                + Message.quote(matrix.name())
                                                + " has "
                                                + matrix.shape().length
                                                + " dimensions, expected at least 2");
                            }
                            scales.add(module, matrix.shape()[0], alpha);
                        });
        return scales.toConfig();
    }

    /**
     * Refuses alphas that are others than a configuration's: which of the two the adapter was
     * trained with cannot be known.
     */
    void checkAgainst(JsonObject config) {
        JsonElement pattern = config.get("alpha_pattern");
        if (!alphas.isEmpty() && pattern instanceof JsonObject object && object.size() > 0) {
            throw new LoraConfigurationException(
                    file
                            + ": alphas are tensors of the file, but adapter_config.json has an"
                            + " alpha_pattern as well; expected one of the two");
        }
        JsonElement alpha = config.get("lora_alpha");
        alphas.forEach(
                (module, value) -> {
                    if (alpha == null || !isNumber(alpha, value)) {
                        throw new LoraConfigurationException(
                                file
                                        + ": module "
                                        + Message.quote(module)
                                        + " has the alpha "
                                        + value
                                        + " in the file, but lora_alpha in adapter_config.json is "
                                        + Message.quote(String.valueOf(alpha)));
                    }
                });
    }

    private static boolean isNumber(JsonElement element, double value) {
        try {
            return element.isJsonPrimitive()
                    && element.getAsJsonPrimitive().isNumber()
                    && element.getAsDouble() == value;
        } catch (NumberFormatException e) {
            return false;
        }
    }

    private double read(TensorSource source, TensorInfo tensor) {
        String where = file + ": tensor " + Message.quote(tensor.name());
        if (tensor.size() != tensor.type().bytes()) {
            throw new LoraConfigurationException(
                    where
                            + " has "
                            + tensor.size() / tensor.type().bytes()
                            + " elements, expected one, the module's alpha");
        }
        ByteBuffer data = ByteBuffer.wrap(source.read(tensor)).order(ByteOrder.LITTLE_ENDIAN);
        return switch (tensor.type()) {
            case F16 -> HalfPrecision.fromFloat16(data.getShort());
            case BF16 -> HalfPrecision.fromBfloat16(data.getShort());
            case F32 -> data.getFloat();
            case F64 -> data.getDouble();
            case I32 -> data.getInt();
            case I64 -> data.getLong();
            default ->
                    throw new LoraConfigurationException(
                            where
                                    + " has the type "
                                    + tensor.type()
                                    + ", allowed for an alpha are F16, BF16, F32, F64, I32 and"
                                    + " I64");
        };
    }
}
