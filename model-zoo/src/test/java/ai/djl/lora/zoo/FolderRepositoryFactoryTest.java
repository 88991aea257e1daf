/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.zoo;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertFalse;
import static org.testng.Assert.assertTrue;

import ai.djl.lora.model.TestModels;
import ai.djl.repository.LocalRepository;
import ai.djl.repository.Repository;
import ai.djl.repository.SimpleRepository;
import java.nio.file.Files;
import java.nio.file.Path;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Folders of other loaders stay with them. */
public class FolderRepositoryFactoryTest {

    private Path folder;

    @BeforeMethod
    public void copyModel() throws Exception {
        folder = TestModels.copy(TestModels.model("llama2"));
    }

    @AfterMethod
    public void deleteCopy() throws Exception {
        TestModels.delete(folder);
    }

    private Repository repository() {
        return Repository.newInstance("test", folder);
    }

    @Test
    public void huggingFaceFolderIsOurs() {
        assertTrue(repository() instanceof HuggingFaceRepository);
        assertEquals(repository().getResources().size(), 1);
        assertEquals(repository().getBaseUri(), folder.toUri());
    }

    @Test
    public void relativePathIsOurs() {
        Repository byUrl =
                Repository.newInstance("test", "../src/test/resources/goldens/llama2/model");
        assertTrue(byUrl instanceof HuggingFaceRepository);
        assertEquals(byUrl.getResources().get(0).getArtifactId(), "model");
    }

    @DataProvider
    public Object[][] othersFiles() {
        return new Object[][] {
            {"model.pt", ""},
            {"model.onnx", ""},
            {"model-0000.params", ""},
            {"serving.properties", "engine=Rust"},
            {"serving.properties", "blockFactory=my.Factory"},
            {"config.json", "{}"},
            {"config.json", "[]"},
        };
    }

    @Test(dataProvider = "othersFiles")
    public void folderOfAnotherLoaderIsNot(String file, String content) throws Exception {
        Files.writeString(folder.resolve(file), content);
        assertTrue(repository() instanceof SimpleRepository, repository().toString());
        assertEquals(repository().getResources().size(), 1);
    }

    @Test
    public void unknownTypeWithoutSafetensorsIsNot() throws Exception {
        Path config = folder.resolve("config.json");
        Files.writeString(config, Files.readString(config).replace("\"llama\"", "\"bert\""));
        assertTrue(repository() instanceof HuggingFaceRepository, "safetensors: refused by name");
        Files.delete(folder.resolve("model.safetensors"));
        assertTrue(repository() instanceof SimpleRepository);
    }

    @Test
    public void folderWithMetadataIsARepository() throws Exception {
        Files.delete(folder.resolve("config.json"));
        Path inner = Files.createDirectories(folder.resolve("model/cv/group/artifact"));
        Path metadata = inner.resolve("metadata.json");
        Files.writeString(
                metadata,
                "{\"metadataVersion\":\"0.2\",\"groupId\":\"g\",\"artifactId\":\"a\","
                        + "\"application\":\"cv/image_classification\",\"artifacts\":[]}");
        assertTrue(repository() instanceof LocalRepository);
        Files.writeString(metadata, "{}");
        assertTrue(repository() instanceof SimpleRepository);
    }

    @Test
    public void missingFolderHasNoModel() {
        Repository missing = Repository.newInstance("test", folder.resolve("absent"));
        assertFalse(missing instanceof HuggingFaceRepository);
        assertTrue(missing.getResources().isEmpty());
    }
}
