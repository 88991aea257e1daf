/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.zoo;

import ai.djl.repository.Repository;
import ai.djl.repository.RepositoryFactory;
import java.net.URI;
import java.util.Set;

/**
 * Makes the repository of {@code djl-lora://demo}, the demo model that comes with this project,
 * with all its adapters registered.
 */
public final class DemoRepositoryFactory implements RepositoryFactory {

    private static final String SCHEME = "djl-lora";

    /** {@inheritDoc} */
    @Override
    public Repository newInstance(String name, URI uri) {
        if (!LoraModelZoo.DEMO.equals(uri.getHost()) || !DemoModel.isPackaged()) {
            throw new IllegalArgumentException(
                    "Unknown model "
                            + uri
                            + "; expected "
                            + (DemoModel.isPackaged()
                                    ? SCHEME + "://" + LoraModelZoo.DEMO
                                    : "a build that packs the demo model"));
        }
        return newRepository(name, uri);
    }

    static HuggingFaceRepository newRepository(String name, URI uri) {
        return new HuggingFaceRepository(
                name,
                uri,
                LoraModelZoo.DEMO,
                () -> DemoModel.extract().baseFolder(),
                () -> DemoModel.extract().adaptersArgument());
    }

    static HuggingFaceRepository newRepository() {
        return newRepository(LoraModelZoo.DEMO, URI.create(SCHEME + "://" + LoraModelZoo.DEMO));
    }

    /** {@inheritDoc} */
    @Override
    public Set<String> getSupportedScheme() {
        return Set.of(SCHEME);
    }
}
