/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.compress;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.tensor.ElementType;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;

/** How adapters are kept that have not been used for a while. */
public enum Compression {
    /** As they are. */
    NONE("none"),
    /** In IEEE 754 binary16; for models in float32. */
    FLOAT16("float16"),
    /** In bfloat16; for models in float32. */
    BFLOAT16("bfloat16"),
    /** A and B as 8-bit integers with a scale for each rank component. */
    INT8("int8"),
    /** Without the smallest entries of A and B. */
    PRUNE("prune"),
    /** Bit for bit, in Zstandard. */
    ZSTD("zstd");

    private final String label;

    Compression(String label) {
        this.label = label;
    }

    /**
     * Returns the name by which users call this.
     *
     * @return the name, such as {@code int8}
     */
    public String label() {
        return label;
    }

    /**
     * Makes a codec for the adapters of a model.
     *
     * @param modules the modules that the adapters are packed for
     * @param prunedShare the share of entries that {@link #PRUNE} drops, above 0 and below 1
     * @return the codec
     */
    public HostCodec codec(List<LoraModule> modules, double prunedShare) {
        return switch (this) {
            case NONE -> new PlainCodec();
            case FLOAT16 -> new HalfCodec(ElementType.FLOAT16);
            case BFLOAT16 -> new HalfCodec(ElementType.BFLOAT16);
            case INT8 -> new Int8Codec(modules);
            case PRUNE -> new PruningCodec(modules, prunedShare);
            case ZSTD -> new ZstdCodec();
        };
    }

    /**
     * Returns what a name stands for.
     *
     * @param name a name as {@link #label()} gives it
     * @return the compression
     * @throws LoraConfigurationException if there is none of that name
     */
    public static Compression ofLabel(String name) {
        return Arrays.stream(values())
                .filter(each -> each.label.equals(name))
                .findFirst()
                .orElseThrow(
                        () ->
                                new LoraConfigurationException(
                                        "Unknown compression \""
                                                + name
                                                + "\"; allowed are "
                                                + Arrays.stream(values())
                                                        .map(Compression::label)
                                                        .collect(Collectors.joining(", "))));
    }

    /** {@inheritDoc} */
    @Override
    public String toString() {
        return label;
    }
}
