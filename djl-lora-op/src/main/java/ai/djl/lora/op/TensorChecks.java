/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import java.nio.ByteBuffer;

/** What every backend's tensor operations demand of their arguments. */
final class TensorChecks {

    private TensorChecks() {}

    static void bufferHolds(ByteBuffer data, ElementType type, Shape shape) {
        long expected = Math.multiplyExact(shape.size(), (long) type.bytes());
        if (!data.isDirect()) {
            throw new IllegalArgumentException("data is not a direct buffer");
        }
        if (data.remaining() != expected) {
            throw new IllegalArgumentException(
                    "data has "
                            + data.remaining()
                            + " bytes; "
                            + type
                            + " of shape "
                            + shape
                            + " takes "
                            + expected);
        }
    }

    static boolean isAligned(ByteBuffer data, int bytes) {
        return data.alignmentOffset(0, bytes) == 0;
    }

    static void rowRange(NDArray array, long from, long to) {
        long rows = array.getShape().get(0);
        if (from < 0 || to < from || to > rows) {
            throw new IllegalArgumentException(
                    "Rows " + from + " to " + to + " are not within the array's " + rows);
        }
    }

    static void attention(NDArray q, NDArray k, NDArray v, NDArray mask, boolean causal) {
        Shape qs = q.getShape();
        Shape ks = k.getShape();
        boolean fits =
                qs.dimension() == 3
                        && ks.dimension() == 3
                        && v.getShape().equals(ks)
                        && qs.get(2) == ks.get(2)
                        && ks.get(1) > 0
                        && qs.get(1) % ks.get(1) == 0;
        if (!fits) {
            throw new IllegalArgumentException(
                    "Attention takes q [queryTokens, heads, dim] and k, v [keyTokens, keyHeads, dim];"
                            + " found q "
                            + qs
                            + ", k "
                            + ks
                            + ", v "
                            + v.getShape());
        }
        if (causal && (mask != null || qs.get(0) != ks.get(0))) {
            throw new IllegalArgumentException(
                    "Causal attention takes no mask and as many queries as keys; found q "
                            + qs
                            + ", k "
                            + ks);
        }
        if (mask != null && !mask.getShape().equals(new Shape(qs.get(0), ks.get(0)))) {
            throw new IllegalArgumentException(
                    "mask has shape "
                            + mask.getShape()
                            + "; expected "
                            + new Shape(qs.get(0), ks.get(0)));
        }
    }

    /** Checks what is given to the operator; the table's own checks come on top. */
    static void sgmv(LoraModule module, NDArray x, NDArray base, NDArray bias, BatchPlan plan) {
        Shape expectedX = new Shape(plan.rows(), module.inFeatures());
        Shape expectedBase = new Shape(plan.rows(), module.outFeatures());
        if (!x.getShape().equals(expectedX) || !base.getShape().equals(expectedBase)) {
            throw new IllegalArgumentException(
                    "Module "
                            + module
                            + " with a plan of "
                            + plan.rows()
                            + " rows takes x "
                            + expectedX
                            + " and base "
                            + expectedBase
                            + "; found x "
                            + x.getShape()
                            + " and base "
                            + base.getShape());
        }
        if (bias != null && !bias.getShape().equals(new Shape(module.outFeatures()))) {
            throw new IllegalArgumentException(
                    "Module "
                            + module
                            + " takes a bias "
                            + new Shape(module.outFeatures())
                            + "; found "
                            + bias.getShape());
        }
    }
}
