/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.convert;

import ai.djl.lora.adapter.EmbeddingChange;
import ai.djl.lora.adapter.LinearChange;
import ai.djl.lora.adapter.LoraWeights;
import ai.djl.lora.tensor.HostTensor;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.OptionalDouble;

/** Gathers how far the parts of two changes of one module lie apart; parts that do not are left. */
final class PartDifferences {

    private final Map<String, OptionalDouble> largest = new LinkedHashMap<>();

    /** Returns the parts that differ, with the largest absolute difference of an element. */
    Map<String, OptionalDouble> largest() {
        return Collections.unmodifiableMap(largest);
    }

    /** Notes a part that differs and has nothing to subtract. */
    private void note(String part) {
        largest.put(part, OptionalDouble.empty());
    }

    /** Compares two changes of a linear layer, of which one may be null. */
    void compare(LinearChange a, LinearChange b) {
        LinearChange none = new LinearChange("", null, null, null, null, null, null, null);
        LinearChange one = a == null ? none : a;
        LinearChange other = b == null ? none : b;
        compareProducts(one.product(), other.product());
        compare("magnitude", one.magnitude(), other.magnitude());
        compareWith("output scale", one.outputScale(), other.outputScale(), 1);
        compareWith("input scale", one.inputScale(), other.inputScale(), 1);
        compare("bias", one.bias(), other.bias());
        compareWith("shift", one.shift(), other.shift(), 0);
        compare("weight", one.weight(), other.weight());
    }

    /** Compares two changes of the embedding. */
    void compare(EmbeddingChange a, EmbeddingChange b) {
        compareProducts(a.product(), b.product());
        if (Arrays.equals(a.tokens(), b.tokens())) {
            compare("rows", a.rows(), b.rows());
        } else {
            note("rows");
        }
        compare("weight", a.weight(), b.weight());
    }

    /** Compares two tensors; where one adapter alone has one there is nothing to subtract. */
    void compare(String part, HostTensor a, HostTensor b) {
        if (a == null && b == null) {
            return;
        }
        if (a == null || b == null || !Arrays.equals(a.shape(), b.shape())) {
            note(part);
            return;
        }
        add(part, furthest(a.toFloats(), b.toFloats()));
    }

    /** Compares two tensors of which none stands for a value that changes nothing. */
    private void compareWith(String part, HostTensor a, HostTensor b, float neutral) {
        if (a == null ^ b == null) {
            float[] values = (a == null ? b : a).toFloats();
            float[] others = new float[values.length];
            Arrays.fill(others, neutral);
            add(part, furthest(values, others));
        } else {
            compare(part, a, b);
        }
    }

    private void compareProducts(LoraWeights a, LoraWeights b) {
        if (a == null && b == null) {
            return;
        }
        if (a != null && b != null && isSame(a, b)) {
            return;
        }
        LoraWeights any = a == null ? b : a;
        int out = Math.toIntExact(any.b().shape()[0]);
        int in = Math.toIntExact(any.a().shape()[1]);
        if (a != null && b != null && (b.b().shape()[0] != out || b.a().shape()[1] != in)) {
            note("product");
            return;
        }
        ProductRows one = a == null ? null : new ProductRows(a);
        ProductRows other = b == null ? null : new ProductRows(b);
        double furthest = 0;
        float[] difference = new float[in];
        for (int row = 0; row < out; ++row) {
            Arrays.fill(difference, 0);
            if (one != null) {
                one.addTo(difference, row, 1);
            }
            if (other != null) {
                other.addTo(difference, row, -1);
            }
            for (float value : difference) {
                furthest = Math.max(furthest, Math.abs(value));
            }
        }
        add("product", furthest);
    }

    private static boolean isSame(LoraWeights a, LoraWeights b) {
        return a.scale() == b.scale() && isSame(a.a(), b.a()) && isSame(a.b(), b.b());
    }

    private static boolean isSame(HostTensor a, HostTensor b) {
        return a.type() == b.type()
                && Arrays.equals(a.shape(), b.shape())
                && Arrays.equals(a.data(), b.data());
    }

    private static double furthest(float[] a, float[] b) {
        double furthest = 0;
        for (int i = 0; i < a.length; ++i) {
            furthest = Math.max(furthest, Math.abs((double) a[i] - b[i]));
        }
        return furthest;
    }

    private void add(String part, double furthest) {
        if (furthest != 0) {
            largest.put(part, OptionalDouble.of(furthest));
        }
    }
}
