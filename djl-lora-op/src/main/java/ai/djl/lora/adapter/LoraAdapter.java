/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import ai.djl.lora.json.Message;
import java.nio.file.Path;

/** An adapter in the host's memory, checked against a model. Immutable. */
public final class LoraAdapter {

    private final Path source;
    private final PeftConfig config;
    private final AdapterChanges changes;
    private final LoadReport report;
    private final String revision;

    /**
     * Constructs a new {@code LoraAdapter} instance.
     *
     * @param source the folder or file that it came from
     * @param config its configuration
     * @param changes what it changes, layers in the model's order
     * @param report what became of each part
     */
    LoraAdapter(Path source, PeftConfig config, AdapterChanges changes, LoadReport report) {
        this.source = source;
        this.config = config;
        this.changes = changes;
        this.report = report;
        this.revision = report.revision().orElseThrow();
    }

    /**
     * Returns where the adapter came from.
     *
     * @return the folder or file
     */
    public Path source() {
        return source;
    }

    /**
     * Returns the adapter's configuration.
     *
     * @return the configuration
     */
    public PeftConfig config() {
        return config;
    }

    /**
     * Returns the name of this content: a SHA-256 over everything that changes what the adapter
     * computes.
     *
     * <p>That is the {@code peft_type}; of each tensor, sorted by name, the name without {@code
     * base_model.model.} and without an adapter's name, the type, the shape and the SHA-256 of the
     * bytes; and what follows from the configuration: the scale of each module, as alpha, rank,
     * their patterns and rsLoRA make it, trained tokens, invocation tokens and what else a method
     * takes from there. The same content has the same revision in every format that keeps it bit
     * for bit. How tensors are called in the file, their order, which model the adapter is laid
     * beside, and notes about training do not count.
     *
     * @return 64 hexadecimal digits
     */
    public String revision() {
        return revision;
    }

    /**
     * Returns what the adapter changes.
     *
     * @return the changes, layers in the model's order
     */
    public AdapterChanges changes() {
        return changes;
    }

    /**
     * Returns what became of each part of the adapter when it was loaded.
     *
     * @return the report
     */
    public LoadReport report() {
        return report;
    }

    /** {@inheritDoc} */
    @Override
    public String toString() {
        return name() + " (revision " + revision.substring(0, 12) + ")";
    }

    private String name() {
        return Message.oneLine(source.toString());
    }
}
