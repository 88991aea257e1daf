/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.zoo;

import ai.djl.lora.model.LlamaConfig;
import ai.djl.util.Utils;
import com.google.gson.JsonElement;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Properties;
import java.util.stream.Stream;

/** Says which folders hold a model that this project loads, and leaves all others to DJL. */
final class HuggingFaceFolder {

    private static final String[] OF_OTHER_LOADERS = {".pt", ".params", ".onnx"};

    private HuggingFaceFolder() {}

    /**
     * Returns whether a folder is to be loaded by this project.
     *
     * <p>It is if it has a {@code config.json} with a {@code model_type}, which is one of ours or
     * comes with safetensors files, so that an unknown type is refused by name; and if there is
     * nothing in it that DJL loads itself: no TorchScript, ONNX or DJL parameter file, and no
     * {@code serving.properties} that names another engine or a block factory.
     *
     * @param path a path
     * @return whether it is such a folder
     */
    static boolean isOurs(Path path) {
        if (!Files.isDirectory(path)) {
            return false;
        }
        Path folder = Utils.getNestedModelDir(path);
        String modelType = modelType(folder.resolve("config.json"));
        if (modelType == null || isClaimed(folder) || holdsOtherModel(folder)) {
            return false;
        }
        return LlamaConfig.MODEL_TYPES.contains(modelType)
                || Files.exists(folder.resolve("model.safetensors"))
                || Files.exists(folder.resolve("model.safetensors.index.json"));
    }

    private static String modelType(Path config) {
        if (!Files.isRegularFile(config)) {
            return null;
        }
        try (Reader reader = Files.newBufferedReader(config)) {
            JsonElement root = JsonParser.parseReader(reader);
            JsonElement type =
                    root.isJsonObject() ? root.getAsJsonObject().get("model_type") : null;
            return type != null && type.isJsonPrimitive() ? type.getAsString() : null;
        } catch (IOException | JsonParseException e) {
            // the loader will say what is wrong if the files beside it are ours
            return "";
        }
    }

    private static boolean isClaimed(Path folder) {
        Path file = folder.resolve("serving.properties");
        if (!Files.isRegularFile(file)) {
            return false;
        }
        Properties properties = new Properties();
        try (Reader reader = Files.newBufferedReader(file)) {
            properties.load(reader);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        String engine = properties.getProperty("engine");
        return properties.containsKey("blockFactory")
                || engine != null && !LoraModelZoo.ENGINE.equals(engine);
    }

    private static boolean holdsOtherModel(Path folder) {
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(file -> String.valueOf(file.getFileName()).toLowerCase(Locale.ROOT))
                    .anyMatch(HuggingFaceFolder::isOfOtherLoader);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static boolean isOfOtherLoader(String fileName) {
        return Stream.of(OF_OTHER_LOADERS).anyMatch(fileName::endsWith);
    }
}
