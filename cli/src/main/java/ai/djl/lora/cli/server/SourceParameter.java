/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.server;

import java.nio.file.Path;

/** Where an adapter is, as a server is told. */
final class SourceParameter {

    private SourceParameter() {}

    /** Returns an address as it is, and a path as an absolute one. */
    static String absolute(String source) {
        return source.matches("(?i)(https?|s3|hf|file):.*")
                ? source
                : Path.of(source).toAbsolutePath().normalize().toString();
    }
}
