/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import ai.djl.lora.LoraCompatibilityException;
import ai.djl.lora.LoraMemoryException;
import ai.djl.lora.json.Message;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.PackedAdapter;
import ai.djl.lora.tensor.ElementConverter;
import ai.djl.lora.tensor.ElementType;
import ai.djl.lora.tensor.HostTensor;
import ai.djl.lora.tensor.NonFinite;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** A LoRA adapter in the host's memory, checked against the modules of a model. Immutable. */
public final class LoraAdapter {

    /** The JVM's largest array, by the margin that its own collections keep. */
    private static final long MAX_BYTES = Integer.MAX_VALUE - 8L;

    private final Path source;
    private final PeftConfig config;
    private final Map<String, LoraWeights> weights;
    private final LoadReport report;
    private final String revision;

    /**
     * Constructs a new {@code LoraAdapter} instance.
     *
     * @param source the directory that it came from
     * @param config its configuration
     * @param weights its weights by module, in the model's order
     * @param report what became of each part
     */
    LoraAdapter(
            Path source, PeftConfig config, Map<String, LoraWeights> weights, LoadReport report) {
        this.source = source;
        this.config = config;
        this.weights = Collections.unmodifiableMap(new LinkedHashMap<>(weights));
        this.report = report;
        this.revision = ContentHash.of(weights);
    }

    /**
     * Returns where the adapter came from.
     *
     * @return the directory
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
     * <p>That is for each module, sorted by name: the name, the scale as it follows from alpha,
     * rank, their patterns and rsLoRA, and of A and B the type, the shape and the SHA-256 of the
     * bytes. How tensors are called in the file, their order, and notes about training do not
     * count.
     *
     * @return 64 hexadecimal digits
     */
    public String revision() {
        return revision;
    }

    /**
     * Returns the weights.
     *
     * @return the weights by {@link LoraModule#name}, in the model's order, unmodifiable
     */
    public Map<String, LoraWeights> weights() {
        return weights;
    }

    /**
     * Returns what became of each part of the adapter when it was loaded.
     *
     * @return the report
     */
    public LoadReport report() {
        return report;
    }

    /**
     * Lays the weights out as the operator takes them: for each adapted module in turn A [rank,
     * inFeatures] and B [outFeatures, rank], converted, in one block.
     *
     * @param modules the model's modules, each at its own index
     * @param type the type to convert to, rounding to nearest even
     * @return the block and where each module's parts lie
     * @throws LoraCompatibilityException if a finite weight is infinite in {@code type}, a module
     *     of this adapter is not among {@code modules} or has another shape there
     * @throws LoraMemoryException if the block would have 2 GiB or more
     */
    public PackedAdapter pack(List<LoraModule> modules, ElementType type) {
        ByteBuffer block = ByteBuffer.allocate(checkedSize(type));
        PackedAdapter.Entry[] entries = new PackedAdapter.Entry[modules.size()];
        Set<String> left = new HashSet<>(weights.keySet());
        for (LoraModule module : modules) {
            LoraWeights part = weights.get(module.name());
            if (part == null) {
                continue;
            }
            if (module.index() < 0 || module.index() >= entries.length) {
                throw new IllegalArgumentException(
                        "The index of module "
                                + module
                                + " must be below "
                                + entries.length
                                + ", found "
                                + module.index());
            }
            left.remove(module.name());
            checkShape(module, part);
            long offsetA = append(block, part.a(), type, module, "A");
            long offsetB = append(block, part.b(), type, module, "B");
            entries[module.index()] =
                    new PackedAdapter.Entry(part.rank(), part.scale(), offsetA, offsetB);
        }
        if (!left.isEmpty()) {
            throw new LoraCompatibilityException(
                    name()
                            + ": the adapter changes module "
                            + Message.quote(left.iterator().next())
                            + ", which the model does not have");
        }
        return new PackedAdapter(type, block.array(), entries);
    }

    /** {@inheritDoc} */
    @Override
    public String toString() {
        return name() + " (revision " + revision.substring(0, 12) + ")";
    }

    private int checkedSize(ElementType type) {
        long elements = 0;
        for (LoraWeights part : weights.values()) {
            elements += part.a().data().length / part.a().type().bytes();
            elements += part.b().data().length / part.b().type().bytes();
        }
        long bytes = elements * type.bytes();
        if (bytes > MAX_BYTES) {
            throw new LoraMemoryException(
                    name()
                            + ": the adapter takes "
                            + bytes
                            + " bytes as "
                            + type
                            + ", allowed are "
                            + MAX_BYTES);
        }
        return (int) bytes;
    }

    private void checkShape(LoraModule module, LoraWeights part) {
        long in = part.a().shape()[1];
        long out = part.b().shape()[0];
        if (in != module.inFeatures() || out != module.outFeatures()) {
            throw new LoraCompatibilityException(
                    name()
                            + ": the adapter was loaded for "
                            + Message.quote(module.name())
                            + " of shape ["
                            + out
                            + ", "
                            + in
                            + "], this model's is "
                            + module);
        }
    }

    private long append(
            ByteBuffer block, HostTensor tensor, ElementType type, LoraModule module, String part) {
        int start = block.position();
        ElementConverter.convert(ByteBuffer.wrap(tensor.data()), tensor.type(), block, type);
        // what was loaded is finite, so an infinity is a weight that the narrower type cannot hold
        ByteBuffer written = block.duplicate().position(start).limit(block.position());
        int index = NonFinite.indexOf(written, type);
        if (index >= 0) {
            throw new LoraCompatibilityException(
                    name()
                            + ": "
                            + part
                            + " of module "
                            + Message.quote(module.name())
                            + " holds "
                            + tensor.toFloats()[index]
                            + ", which "
                            + type
                            + " cannot hold");
        }
        return start / type.bytes();
    }

    private String name() {
        return Message.oneLine(source.toString());
    }
}
