/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.safetensors;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.expectThrows;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.TempDirectory;
import ai.djl.lora.tensor.ElementType;
import ai.djl.lora.tensor.HostTensor;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class SafetensorsFolderTest {

    private static final String INDEX = "model.safetensors.index.json";

    private TempDirectory directory;

    @BeforeMethod
    public void newDirectory() throws IOException {
        directory = new TempDirectory();
    }

    @AfterMethod
    public void deleteDirectory() throws IOException {
        directory.close();
    }

    private Path shard(String file, String... tensors) throws IOException {
        Map<String, HostTensor> content = new LinkedHashMap<>();
        for (String tensor : tensors) {
            content.put(
                    tensor, SafetensorsWriter.tensor(ElementType.FLOAT32, 1, 1, tensor.charAt(0)));
        }
        return SafetensorsWriter.write(directory.path().resolve(file), content);
    }

    @Test
    public void readsASingleFile() throws IOException {
        Path file = shard("model.safetensors", "a", "b");
        // transformers reads the single file where both lie beside one another
        directory.write(INDEX, "{\"weight_map\": {\"z\": \"gone\"}}");
        try (SafetensorsFolder folder = SafetensorsFolder.open(directory.path())) {
            assertEquals(List.copyOf(folder.names()), List.of("a", "b"));
            assertEquals(folder.fileOf("b"), file);
            assertEquals(folder.map("b").getFloat(), 'b');
            assertEquals(folder.tensor("a").shape(), new long[] {1, 1});
        }
    }

    @Test
    public void readsShards() throws IOException {
        Path first = shard("one.safetensors", "a", "c");
        Path second = shard("two.safetensors", "b");
        directory.write(
                INDEX,
                "{\"metadata\": {\"total_size\": 12}, \"weight_map\": {\"a\": \"one.safetensors\","
                        + " \"b\": \"two.safetensors\", \"c\": \"one.safetensors\"}}");
        try (SafetensorsFolder folder = SafetensorsFolder.open(directory.path())) {
            assertEquals(folder.names(), Set.of("a", "b", "c"));
            assertEquals(folder.fileOf("c"), first);
            assertEquals(folder.fileOf("b"), second);
            assertEquals(folder.map("c").getFloat(), 'c');
            LoraConfigurationException e =
                    expectThrows(LoraConfigurationException.class, () -> folder.map("d"));
            assertEquals(
                    e.getMessage(),
                    directory.path()
                            + ": there is no tensor \"d\" among the 3 of its safetensors files");
        }
    }

    @DataProvider
    public Object[][] wrong() {
        return new Object[][] {
            {"{}", "weight_map must be an object of file names by tensor name"},
            {"{\"weight_map\": []}", "weight_map must be an object of file names by tensor name"},
            {
                "{\"weight_map\": {\"a\": 1}}",
                "weight_map must give a file name for tensor \"a\", found \"1\""
            },
            {
                "{\"weight_map\": {\"a\": \"three.safetensors\"}}",
                "weight_map puts tensor \"a\" into \"three.safetensors\", but there is no such file"
            },
            {
                "{\"weight_map\": {\"z\": \"one.safetensors\"}}",
                "weight_map puts tensor \"z\" into one.safetensors, which does not hold it"
            },
            {
                "{\"weight_map\": {\"a\": \"one.safetensors\", \"b\": \"two.safetensors\"}}",
                "tensor \"c\" lies in one.safetensors, but weight_map does not name it"
            },
            {
                "{\"weight_map\": {\"a\": \"one.safetensors\", \"c\": \"one.safetensors\","
                        + " \"b\": \"double.safetensors\"}}",
                "tensor \"a\" lies in double.safetensors, but weight_map puts it into"
                        + " one.safetensors"
            },
            {
                "{\"weight_map\": {\"a\": \"one.safetensors\", \"a\": \"one.safetensors\"}}",
                "the name \"weight_map.a\" occurs twice"
            },
            {"{\"weight_map\": {\"a\": \"../one.safetensors\"}}", escape("../one.safetensors")},
            {"{\"weight_map\": {\"a\": \"/etc/passwd\"}}", escape("/etc/passwd")},
            {"{\"weight_map\": {\"a\": \"x/one.safetensors\"}}", escape("x/one.safetensors")},
            {"{\"weight_map\": {\"a\": \"..\\\\one\"}}", escape("..\\one")},
            {"{\"weight_map\": {\"a\": \"..\"}}", escape("..")},
            {"{\"weight_map\": {\"a\": \"\"}}", escape("")},
            {"{\"weight_map\": {\"a\": \"x\\u0000\"}}", escape("x\\u0000")},
        };
    }

    private static String escape(String name) {
        return "weight_map must name a file in the same directory for tensor \"a\", found \""
                + name
                + '"';
    }

    @Test(dataProvider = "wrong")
    public void refusesAnIndex(String index, String message) throws IOException {
        shard("one.safetensors", "a", "c");
        shard("two.safetensors", "b");
        shard("double.safetensors", "b", "a");
        Path file = directory.write(INDEX, index);
        assertEquals(failure(), file + ": " + message);
    }

    @Test
    public void refusesADirectoryWithoutWeights() {
        assertEquals(
                failure(),
                directory.path()
                        + ": expected model.safetensors or model.safetensors.index.json, found"
                        + " neither");
    }

    private String failure() {
        return expectThrows(
                        LoraConfigurationException.class,
                        () -> SafetensorsFolder.open(directory.path()).close())
                .getMessage();
    }
}
