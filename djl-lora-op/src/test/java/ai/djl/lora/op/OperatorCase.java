/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.tensor.ElementConverter;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.testng.Assert;

/** A random call of the operator, and what a naive computation in float64 makes of it. */
final class OperatorCase {

    /** What rounding to nearest may change, relative to the number: 8 and 11 bits are kept. */
    private static final double HALF_ULP_BFLOAT16 = 0x1p-8;

    private static final double HALF_ULP_FLOAT16 = 0x1p-11;

    private final ElementType type;
    private final int in;
    private final int[] outs;
    private final boolean int8;
    private final long adapterMemory;
    private final List<List<Part>> adapters = new ArrayList<>();
    private final List<AdapterMix> mixes = new ArrayList<>();
    private final float[] x;
    private final float[][] bases;
    private final float[][] biases;

    OperatorCase(Random random, ElementType type) {
        this.type = type;
        in = 1 + random.nextInt(80);
        outs = random.ints(1 + random.nextInt(3), 1, 80).toArray();
        int8 = random.nextInt(4) == 0;
        adapterMemory = random.nextBoolean() ? 1 << 20 : 0;
        boolean stacks = random.nextInt(3) == 0;
        int count = 1 + random.nextInt(4);
        for (int i = 0; i < count; ++i) {
            boolean vectors = !stacks && random.nextInt(3) == 0;
            List<Part> parts = new ArrayList<>();
            for (int out : outs) {
                parts.add(vectors ? Part.any(random, in, out) : Part.addable(random, in, out));
            }
            adapters.add(parts);
        }
        // mostly a few rows, as in decoding; sometimes a segment long enough for the other loops
        int longest = random.nextInt(8) == 0 ? 70 : 5;
        int segments = random.nextInt(7);
        for (int s = 0; s < segments; ++s) {
            AdapterMix mix =
                    stacks && random.nextBoolean()
                            ? randomStack(random, count)
                            : AdapterMix.of(random.nextInt(count + 1) - 1);
            int rows = 1 + random.nextInt(longest);
            IntStream.range(0, rows).forEach(t -> mixes.add(mix));
        }
        x = Backends.randomValues(random, (long) mixes.size() * in, 1);
        bases = new float[outs.length][];
        biases = new float[outs.length][];
        for (int g = 0; g < outs.length; ++g) {
            bases[g] = Backends.randomValues(random, (long) mixes.size() * outs[g], 1);
            biases[g] = random.nextBoolean() ? Backends.randomValues(random, outs[g], 1) : null;
        }
    }

    private static AdapterMix randomStack(Random random, int adapters) {
        int[] slots = IntStream.range(0, adapters).filter(slot -> random.nextBoolean()).toArray();
        float[] weights = new float[slots.length];
        for (int i = 0; i < weights.length; ++i) {
            weights[i] = random.nextFloat() * 2 - 1;
        }
        return AdapterMix.stack(slots, weights);
    }

    /** Runs the operator and compares. */
    void check(NDManager manager, LoraBackend backend, String name) {
        TensorOps ops = backend.getTensorOps(type);
        List<LoraModule> modules = modules();
        int rows = mixes.size();
        try (AdapterTable table = backend.newTable(manager, modules, type, adapterMemory)) {
            List<List<Part>> resident = new ArrayList<>();
            for (int i = 0; i < adapters.size(); ++i) {
                PackedAdapter exact = pack(adapters.get(i), 1, type);
                PackedAdapter packed = int8 ? Int8Packing.round(exact, modules) : exact;
                long before = table.residentBytes();
                Assert.assertEquals(table.put(packed), i);
                Assert.assertEquals(table.residentBytes() - before, table.bytesOf(packed), name);
                // on a GPU what was rounded to 8 bits is held in the model's type
                boolean widened = backend instanceof CudaBackend;
                resident.add(
                        int8
                                ? adapters.get(i).stream()
                                        .map(Part::round)
                                        .map(part -> widened ? part.as(type) : part)
                                        .toList()
                                : adapters.get(i));
            }
            NDArray input = Backends.array(manager, ops, type, x, rows, in);
            NDArray[] ys = new NDArray[outs.length];
            NDArray[] b = new NDArray[outs.length];
            for (int g = 0; g < outs.length; ++g) {
                ys[g] = Backends.array(manager, ops, type, bases[g], rows, outs[g]);
                b[g] =
                        biases[g] == null
                                ? null
                                : Backends.array(manager, ops, type, biases[g], outs[g]);
            }
            BatchPlan plan = BatchPlan.ofMixes(mixes);
            int[] group = IntStream.range(1, outs.length + 1).toArray();
            NDArray[] results =
                    outs.length == 1
                            ? new NDArray[] {table.apply(1, input, ys[0], b[0], plan)}
                            : table.applyGroup(group, input, ys, b, plan);
            for (int g = 0; g < outs.length; ++g) {
                assertClose(resident, g, Backends.values(ops, results[g]), name);
            }
        }
    }

    private List<LoraModule> modules() {
        List<LoraModule> modules = new ArrayList<>();
        modules.add(new LoraModule(0, "other", 3, 5));
        for (int out : outs) {
            modules.add(new LoraModule(modules.size(), "layer" + modules.size(), in, out));
        }
        return modules;
    }

    private void assertClose(List<List<Part>> resident, int g, float[] actual, String name) {
        int out = outs[g];
        Assert.assertEquals(actual.length, mixes.size() * out);
        for (int t = 0; t < mixes.size(); ++t) {
            AdapterMix mix = mixes.get(t);
            for (int o = 0; o < out; ++o) {
                Sum sum = new Sum();
                sum.add(bases[g][t * out + o]);
                float[] bias = biases[g];
                int ranks = 0;
                for (int e = 0; e < mix.size(); ++e) {
                    Part part = resident.get(mix.slot(e)).get(g);
                    double weight = (double) mix.weight(e) * part.scale;
                    ranks += part.rank;
                    for (int r = 0; r < part.rank; ++r) {
                        double factor = weight * part.b[o * part.rank + r];
                        for (int i = 0; i < in; ++i) {
                            sum.add(factor * part.a[r * in + i] * x[t * in + i]);
                        }
                    }
                    if (part.outScale != null) {
                        sum.multiply(part.outScale[o]);
                    }
                    bias = part.bias == null ? bias : part.bias;
                }
                if (bias != null) {
                    sum.add(bias[o]);
                }
                Assert.assertEquals(
                        actual[t * out + o],
                        sum.value,
                        tolerance(sum, in / 16 + 10 + ranks),
                        name + ", module " + g + ", row " + t + " (" + mix + "), output " + o);
            }
        }
    }

    /*
     * Inputs are exact in every type. float32: relative 1e-5, absolute 1e-6, or where terms cancel
     * what a chain of that many additions may lose of the sum of magnitudes, 2^-24 each.
     * The 16-bit types: the same chain and 2^-17 for A x in two bfloat16 halves (8 + 8 bits), as
     * tiles take it; then one rounding of the result by half an ulp. float16 has subnormals below
     * 2^-14, 2^-25 off at most.
     */
    private double tolerance(Sum sum, int chain) {
        double sums = chain * 0x1p-24 * sum.magnitude;
        if (type == ElementType.FLOAT32) {
            return 1e-5 * Math.abs(sum.value) + Math.max(1e-6, sums);
        }
        double all = sums + 0x1p-17 * sum.magnitude;
        double halfUlp = type == ElementType.FLOAT16 ? HALF_ULP_FLOAT16 : HALF_ULP_BFLOAT16;
        return all + (Math.abs(sum.value) + all) * halfUlp + 0x1p-25;
    }

    /** Lays an adapter out that leaves the first modules as they are. */
    static PackedAdapter pack(List<Part> parts, int first, ElementType type) {
        List<float[]> block = new ArrayList<>();
        long[] end = new long[1];
        PackedAdapter.Entry[] entries = new PackedAdapter.Entry[first + parts.size()];
        for (int g = 0; g < parts.size(); ++g) {
            Part part = parts.get(g);
            if (part.isEmpty()) {
                continue;
            }
            entries[first + g] =
                    new PackedAdapter.Entry(
                            part.rank,
                            part.scale,
                            append(part.a, block, end),
                            append(part.b, block, end),
                            append(part.outScale, block, end),
                            append(part.bias, block, end));
        }
        ByteBuffer data =
                ByteBuffer.allocate((int) end[0] * type.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        for (float[] part : block) {
            ByteBuffer wide =
                    ByteBuffer.allocate(part.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
            wide.asFloatBuffer().put(part);
            ElementConverter.convert(wide, ElementType.FLOAT32, data, type);
        }
        return new PackedAdapter(type, data.array(), entries);
    }

    private static long append(float[] part, List<float[]> block, long[] end) {
        if (part == null) {
            return PackedAdapter.ABSENT;
        }
        block.add(part);
        long offset = end[0];
        end[0] += part.length;
        return offset;
    }

    /** A sum and the sum of its terms' magnitudes. */
    private static final class Sum {
        private double value;
        private double magnitude;

        void add(double term) {
            value += term;
            magnitude += Math.abs(term);
        }

        void multiply(double factor) {
            value *= factor;
            magnitude *= Math.abs(factor);
        }
    }

    /** An adapter's part for one module; null for what is not there. */
    record Part(int rank, float scale, float[] a, float[] b, float[] outScale, float[] bias) {

        static Part plain(Random random, int rank, int in, int out) {
            return new Part(
                    rank,
                    0.5f + random.nextFloat(),
                    Backends.randomValues(random, (long) rank * in, 1 / Math.sqrt(in)),
                    Backends.randomValues(random, (long) rank * out, 1 / Math.sqrt(rank)),
                    null,
                    null);
        }

        static Part none() {
            return new Part(0, 1, null, null, null, null);
        }

        static Part addable(Random random, int in, int out) {
            return random.nextInt(6) == 0 ? none() : plain(random, 1 + random.nextInt(40), in, out);
        }

        static Part any(Random random, int in, int out) {
            Part part = addable(random, in, out);
            return new Part(
                    part.rank,
                    part.scale,
                    part.a,
                    part.b,
                    random.nextBoolean() ? Backends.randomValues(random, out, 1) : null,
                    random.nextBoolean() ? Backends.randomValues(random, out, 1) : null);
        }

        boolean isEmpty() {
            return rank == 0 && outScale == null && bias == null;
        }

        /** Returns this part as 8-bit integers hold it, by the definition of that rounding. */
        Part round() {
            if (rank == 0) {
                return this;
            }
            int in = a.length / rank;
            int out = b.length / rank;
            float[] roundedA = a.clone();
            float[] roundedB = b.clone();
            for (int r = 0; r < rank; ++r) {
                round(roundedA, r * in, 1, in);
                round(roundedB, r, rank, out);
            }
            return new Part(rank, scale, roundedA, roundedB, outScale, bias);
        }

        /** Returns this part with A and B as a type holds them. */
        Part as(ElementType type) {
            return new Part(rank, scale, as(a, type), as(b, type), outScale, bias);
        }

        private static float[] as(float[] values, ElementType type) {
            if (values == null) {
                return null;
            }
            ByteBuffer wide =
                    ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
            wide.asFloatBuffer().put(values);
            ByteBuffer narrow =
                    ByteBuffer.allocate(values.length * type.bytes())
                            .order(ByteOrder.LITTLE_ENDIAN);
            ElementConverter.convert(wide, ElementType.FLOAT32, narrow, type);
            wide.clear();
            ElementConverter.convert(narrow.flip(), type, wide, ElementType.FLOAT32);
            float[] held = new float[values.length];
            wide.flip().order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(held);
            return held;
        }

        private static void round(float[] values, int first, int stride, int count) {
            int[] places = IntStream.range(0, count).map(i -> first + i * stride).toArray();
            float step = 0;
            for (int place : places) {
                step = Math.max(step, Math.abs(values[place]) / 127);
            }
            for (int place : places) {
                values[place] = step == 0 ? 0 : Math.round(values[place] / step) * step;
            }
        }

        @Override
        public String toString() {
            return "rank " + rank + ", " + Arrays.toString(outScale) + Arrays.toString(bias);
        }
    }
}
