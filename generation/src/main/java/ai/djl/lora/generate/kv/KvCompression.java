/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.kv;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.model.KvBlockShape;
import ai.djl.lora.tensor.ElementType;

/** How blocks of keys and values are kept that have not been used for a while. */
public enum KvCompression {
    /** As they are, in the pool. */
    NONE("none"),
    /** In IEEE 754 binary16; for models in float32. */
    FLOAT16("float16"),
    /** As 8-bit integers with a scale for each channel of keys and each position of values. */
    INT8("int8"),
    /** Bit for bit, in Zstandard. */
    LOSSLESS("lossless");

    private final String label;

    KvCompression(String label) {
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
     * Makes a codec for the blocks of a pool.
     *
     * @param shape the shape of a block
     * @param prunedShare the share of entries, the smallest, that become zero before; 0 for none
     * @return the codec
     * @throws LoraConfigurationException if there is no codec for this, or it would save nothing
     */
    public KvCodec codec(KvBlockShape shape, double prunedShare) {
        if (!(prunedShare >= 0 && prunedShare < 1)) {
            throw new LoraConfigurationException(
                    "kvPrunedShare is " + prunedShare + "; it must be 0 or more and below 1");
        }
        KvCodec codec =
                switch (this) {
                    case NONE ->
                            throw new LoraConfigurationException(
                                    "kvCompression none has no codec; choose float16, int8 or"
                                            + " lossless");
                    case FLOAT16 -> {
                        if (shape.type() != ElementType.FLOAT32) {
                            throw new LoraConfigurationException(
                                    "kvCompression float16 saves nothing, since keys and values are"
                                            + " "
                                            + shape.type()
                                            + "; choose int8 or lossless");
                        }
                        yield new HalfKvCodec(shape);
                    }
                    case INT8 -> new Int8KvCodec(shape);
                    case LOSSLESS -> new LosslessKvCodec(shape);
                };
        return prunedShare == 0 ? codec : new PruningKvCodec(codec, shape, prunedShare);
    }

    /** {@inheritDoc} */
    @Override
    public String toString() {
        return label;
    }
}
