/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.zoo;

import ai.djl.repository.LocalRepository;
import ai.djl.repository.Metadata;
import ai.djl.repository.Repository;
import ai.djl.repository.RepositoryFactory;
import ai.djl.repository.SimpleRepository;
import ai.djl.util.JsonUtils;
import com.google.gson.JsonParseException;
import java.io.IOException;
import java.io.Reader;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Makes the repositories of folders, which is what {@code Criteria.optModelPath} asks for.
 *
 * <p>DJL's PyTorch engine loads TorchScript files alone, and a Criteria has no other place from
 * which a folder could be given to another loader. This factory therefore stands in for DJL's own
 * for the scheme {@code file}: folders that {@link HuggingFaceFolder} takes get a repository with a
 * block factory, and everything else gets the repository that it has without this project.
 */
public final class FolderRepositoryFactory implements RepositoryFactory {

    private static final Logger logger = LoggerFactory.getLogger(FolderRepositoryFactory.class);

    /** {@inheritDoc} */
    @Override
    public Repository newInstance(String name, URI uri) {
        Path path = pathOf(uri);
        if (HuggingFaceFolder.isOurs(path)) {
            String folderName = String.valueOf(path.toAbsolutePath().normalize().getFileName());
            return new HuggingFaceRepository(name, uri, folderName, () -> path, Map::of);
        }
        if (Files.isDirectory(path) && holdsRepository(path)) {
            return new LocalRepository(name, path.toUri(), path) {};
        }
        return new SimpleRepository(name, uri, path) {};
    }

    /** {@inheritDoc} */
    @Override
    public Set<String> getSupportedScheme() {
        return Set.of("file");
    }

    private static Path pathOf(URI uri) {
        String path = uri.getPath() == null ? uri.getSchemeSpecificPart() : uri.getPath();
        boolean windows = System.getProperty("os.name").startsWith("Win");
        return Path.of(windows && path.startsWith("/") ? path.substring(1) : path);
    }

    /* DJL takes a folder for a repository if a metadata.json below it describes artifacts. */
    private static boolean holdsRepository(Path root) {
        try (Stream<Path> files = Files.walk(root)) {
            return files.anyMatch(
                    file ->
                            file.endsWith("metadata.json")
                                    && Files.isRegularFile(file)
                                    && !root.equals(file.getParent())
                                    && describesArtifacts(file));
        } catch (IOException e) {
            logger.warn("Failed to search {} for metadata.json", root, e);
            return false;
        }
    }

    private static boolean describesArtifacts(Path file) {
        try (Reader reader = Files.newBufferedReader(file)) {
            Metadata metadata = JsonUtils.GSON.fromJson(reader, Metadata.class);
            return metadata != null
                    && metadata.getMetadataVersion() != null
                    && metadata.getArtifacts() != null;
        } catch (IOException | JsonParseException e) {
            logger.warn("{} is not a description of artifacts", file, e);
            return false;
        }
    }
}
