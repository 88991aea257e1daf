/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.LoraCompatibilityException;
import ai.djl.lora.LoraMemoryException;
import ai.djl.lora.adapter.LinearChange;
import ai.djl.lora.adapter.LoraAdapter;
import ai.djl.lora.adapter.LoraWeights;
import ai.djl.lora.json.Message;
import ai.djl.lora.op.AdapterType;
import ai.djl.lora.op.Int8Packing;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.PackedAdapter;
import ai.djl.lora.tensor.ElementConverter;
import ai.djl.lora.tensor.ElementType;
import ai.djl.lora.tensor.HostTensor;
import ai.djl.lora.tensor.NonFinite;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Lays an adapter out as the operator takes it: for each adapted layer in turn A [rank,
 * inFeatures], B [outFeatures, rank], the scale of the outputs and the bias, converted to the
 * model's type, in one block.
 */
final class AdapterPacker {

    /** The JVM's largest array, by the margin that its own collections keep. */
    private static final long MAX_BYTES = Integer.MAX_VALUE - 8L;

    private final LoraAdapter adapter;
    private final List<LoraModule> modules;
    private final ElementType type;
    private final OutputVectors vectors;

    /**
     * Constructs a new {@code AdapterPacker} instance.
     *
     * @param adapter the adapter
     * @param modules the model's layers, each at its own index
     * @param type the type to convert to, rounding to nearest even
     * @param vectors what works out scales of outputs and biases
     */
    AdapterPacker(
            LoraAdapter adapter,
            List<LoraModule> modules,
            ElementType type,
            OutputVectors vectors) {
        this.adapter = adapter;
        this.modules = modules;
        this.type = type;
        this.vectors = vectors;
    }

    /**
     * Packs an adapter for a model.
     *
     * @param context the model's context
     * @param adapter the adapter
     * @return the block and where each layer's parts lie, in the model's type
     * @throws LoraCompatibilityException if a finite weight is infinite in the model's type, or a
     *     layer of the adapter is not the model's or has another shape there
     * @throws LoraMemoryException if the block would have 2 GiB or more
     */
    static PackedAdapter pack(LoraContext context, LoraAdapter adapter) {
        OutputVectors vectors = new OutputVectors(context);
        return new AdapterPacker(adapter, context.getModules(), context.getType(), vectors).pack();
    }

    /** Returns a packed adapter as the context's adapters are held. */
    static PackedAdapter rounded(LoraContext context, PackedAdapter packed) {
        return context.getAdapterType() == AdapterType.INT8
                ? Int8Packing.round(packed, context.getModules())
                : packed;
    }

    /** Packs the adapter, in its floating-point type. */
    PackedAdapter pack() {
        ByteBuffer block = ByteBuffer.allocate(checkedSize()).order(ByteOrder.LITTLE_ENDIAN);
        PackedAdapter.Entry[] entries = new PackedAdapter.Entry[modules.size()];
        Set<String> left = new HashSet<>(adapter.changes().linears().keySet());
        for (LoraModule module : modules) {
            LinearChange change = adapter.changes().linears().get(module.name());
            if (change != null) {
                checkIndex(module, entries.length);
                left.remove(module.name());
                entries[module.index()] = entry(block, module, change);
            }
        }
        if (!left.isEmpty()) {
            throw new LoraCompatibilityException(
                    name()
                            + ": the adapter changes module "
                            + Message.quote(left.iterator().next())
                            + ", which the model does not have");
        }
        return new PackedAdapter(type, trimmed(block), entries);
    }

    private static void checkIndex(LoraModule module, int count) {
        if (module.index() < 0 || module.index() >= count) {
            throw new IllegalArgumentException(
                    "The index of module "
                            + module
                            + " must be below "
                            + count
                            + ", found "
                            + module.index());
        }
    }

    private PackedAdapter.Entry entry(ByteBuffer block, LoraModule module, LinearChange change) {
        LoraWeights product = change.product();
        long offsetA = PackedAdapter.ABSENT;
        long offsetB = PackedAdapter.ABSENT;
        if (product != null) {
            checkShape(module, product);
            offsetA = append(block, product.a(), module, "A");
            offsetB = append(block, product.b(), module, "B");
        }
        float[] outScale = vectors.outScale(module, change);
        float[] bias = vectors.bias(module, change);
        if (product == null && outScale == null && bias == null) {
            // all that the adapter does here lies beside the operator
            return null;
        }
        return new PackedAdapter.Entry(
                product == null ? 0 : product.rank(),
                product == null ? 1 : product.scale(),
                offsetA,
                offsetB,
                append(block, outScale, module, "the scale of outputs"),
                append(block, bias, module, "the bias"));
    }

    private int checkedSize() {
        long elements = 0;
        for (LoraModule module : modules) {
            LinearChange change = adapter.changes().linears().get(module.name());
            if (change != null) {
                LoraWeights product = change.product();
                if (product != null) {
                    elements += product.a().elements() + product.b().elements();
                }
                elements += change.isProductOnly() ? 0 : 2L * module.outFeatures();
            }
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

    /* What has a magnitude and no bias leaves room behind; most adapters leave none. */
    private static byte[] trimmed(ByteBuffer block) {
        if (!block.hasRemaining()) {
            return block.array();
        }
        byte[] data = new byte[block.position()];
        block.flip().get(data);
        return data;
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

    private long append(ByteBuffer block, float[] values, LoraModule module, String part) {
        if (values == null) {
            return PackedAdapter.ABSENT;
        }
        return append(block, HostTensor.of(values, values.length), module, part);
    }

    private long append(ByteBuffer block, HostTensor tensor, LoraModule module, String part) {
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
        return Message.oneLine(adapter.source().toString());
    }
}
