/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import picocli.CommandLine.IVersionProvider;

/** Tells the version as the jar's manifest has it. */
public final class ManifestVersion implements IVersionProvider {

    /** {@inheritDoc} */
    @Override
    public String[] getVersion() {
        return new String[] {"djl-lora " + version()};
    }

    /**
     * Returns the version.
     *
     * @return the version, or {@code (not packaged)} where classes are run outside a jar
     */
    static String version() {
        String version = ManifestVersion.class.getPackage().getImplementationVersion();
        return version == null ? "(not packaged)" : version;
    }
}
