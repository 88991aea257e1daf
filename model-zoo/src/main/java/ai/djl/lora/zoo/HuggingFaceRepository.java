/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.zoo;

import ai.djl.Application;
import ai.djl.repository.AbstractRepository;
import ai.djl.repository.Artifact;
import ai.djl.repository.MRL;
import ai.djl.repository.Metadata;
import ai.djl.repository.zoo.DefaultModelZoo;
import ai.djl.util.Progress;
import java.net.URI;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;

/**
 * A repository of one model in a Hugging Face folder.
 *
 * <p>It is DJL's own repository of a plain folder, but for the arguments and options of its
 * artifact, by which DJL's loader builds the block from the folder and looks for no other file.
 * Arguments of the Criteria and of the URL's query come before them.
 */
final class HuggingFaceRepository extends AbstractRepository {

    private final String artifactId;
    private final Supplier<Path> folder;
    private final Supplier<Map<String, String>> defaults;

    /**
     * Constructs a new {@code HuggingFaceRepository} instance.
     *
     * @param name the repository's name
     * @param uri the URI by which the user asked for it, whose query may hold arguments
     * @param artifactId the model's name where the query has none
     * @param folder where the folder is; asked when the model is loaded
     * @param defaults further arguments for models of this repository
     */
    HuggingFaceRepository(
            String name,
            URI uri,
            String artifactId,
            Supplier<Path> folder,
            Supplier<Map<String, String>> defaults) {
        super(name, uri);
        this.artifactId = arguments.getOrDefault("artifact_id", artifactId);
        this.folder = folder;
        this.defaults = defaults;
    }

    /** {@inheritDoc} */
    @Override
    public boolean isRemote() {
        return false;
    }

    /** {@inheritDoc} */
    @Override
    public URI getBaseUri() {
        return folder.get().toUri();
    }

    /** {@inheritDoc} */
    @Override
    public Metadata locate(MRL mrl) {
        Artifact artifact = new Artifact();
        artifact.setName(arguments.getOrDefault("model_name", artifactId));
        Map<String, Object> all = new ConcurrentHashMap<>();
        all.put("engine", LoraModelZoo.ENGINE);
        all.put("blockFactory", new HuggingFaceBlockFactory());
        all.putAll(defaults.get());
        all.putAll(arguments);
        artifact.setArguments(all);
        Map<String, String> options = new ConcurrentHashMap<>();
        options.put("hasParameter", "false");
        artifact.setOptions(options);
        Metadata metadata = new Metadata.MatchAllMetadata();
        metadata.setRepositoryUri(URI.create(""));
        metadata.setGroupId(mrl.getGroupId());
        metadata.setArtifactId(artifactId);
        metadata.setArtifacts(List.of(artifact));
        return metadata;
    }

    /** {@inheritDoc} */
    @Override
    public Artifact resolve(MRL mrl, Map<String, String> filter) {
        return locate(mrl).getArtifacts().get(0);
    }

    /** {@inheritDoc} */
    @Override
    public Path getResourceDirectory(Artifact artifact) {
        return folder.get();
    }

    /** {@inheritDoc} */
    @Override
    public void prepare(Artifact artifact, Progress progress) {
        folder.get();
    }

    /** {@inheritDoc} */
    @Override
    public Path getCacheDirectory() {
        return folder.get();
    }

    /** {@inheritDoc} */
    @Override
    public List<MRL> getResources() {
        return List.of(MRL.undefined(this, DefaultModelZoo.GROUP_ID, artifactId));
    }

    /** Returns this repository's model as one of the project's zoo. */
    MRL zooModel() {
        return MRL.model(
                this,
                Application.NLP.TEXT_GENERATION,
                LoraModelZoo.GROUP_ID,
                artifactId,
                null,
                null);
    }
}
