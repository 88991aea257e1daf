/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.convert;

import ai.djl.lora.LoraCompatibilityException;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.adapter.AdapterLoader;
import ai.djl.lora.adapter.LoadReport;
import ai.djl.lora.adapter.LoadingPolicy;
import ai.djl.lora.format.AdapterFiles;
import ai.djl.lora.format.FormatHints;
import ai.djl.lora.op.ModelLayout;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Writes an adapter in another form, bit for bit the same: what was written has the revision of
 * what was read, which is checked before it appears in its place.
 */
public final class AdapterConverter {

    /** What an adapter can be written as. */
    public enum Form {
        /** One file of ours; see {@link ai.djl.lora.format.PackedFile}. */
        PACKED,
        /** A folder as PEFT writes it. */
        PEFT
    }

    private final Path source;
    private final Optional<ModelLayout> layout;
    private final Optional<FormatHints> hints;
    private final LoadingPolicy policy = LoadingPolicy.STRICT;

    /**
     * Constructs a new {@code AdapterConverter} instance.
     *
     * @param source the adapter's folder or file
     * @param layout the model that it must fit, if any
     * @param hints what the adapter's format leaves to the model to say, if any
     */
    public AdapterConverter(
            Path source, Optional<ModelLayout> layout, Optional<FormatHints> hints) {
        this.source = source;
        this.layout = layout;
        this.hints = hints;
    }

    /**
     * Writes the adapter.
     *
     * @param target where to, a file or a folder that is not there
     * @param form as what
     * @param replace whether a file, or a folder of PEFT's, that is there may be replaced
     * @return the adapter's report
     * @throws LoraConfigurationException if the adapter cannot be read, or something is in the
     *     target's place
     * @throws LoraCompatibilityException if the adapter does not fit the model, or without one does
     *     not agree with itself
     * @throws IOException if the target cannot be written
     */
    public LoadReport convert(Path target, Form form, boolean replace) throws IOException {
        try (AdapterFiles files = open();
                Staging staging =
                        form == Form.PACKED
                                ? Staging.file(target, replace, source)
                                : Staging.folder(target, replace, PeftFolder.CONFIG, source)) {
            files.verify();
            ModelLayout used = layout.orElseGet(() -> InferredLayout.of(files));
            LoadReport report = AdapterLoader.validate(files, used, policy);
            if (!report.isAccepted()) {
                throw new LoraCompatibilityException(report.toString());
            }
            if (form == Form.PACKED) {
                PackedWriter.write(files, report, staging.path());
            } else {
                PeftFolder.write(files, staging.path());
            }
            LoadReport written = AdapterLoader.validate(staging.path(), used, policy);
            if (!written.revision().equals(report.revision())) {
                throw new IllegalStateException(
                        "The converted adapter has the revision "
                                + written.revision()
                                + ", expected "
                                + report.revision());
            }
            staging.commit();
            return report;
        }
    }

    private AdapterFiles open() {
        return hints.isPresent()
                ? AdapterFiles.open(source, policy.limits(), hints.get())
                : AdapterFiles.open(source, policy.limits());
    }
}
