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

    /** Checks what is given to the operator; the table's own checks come on top. */
    static void sgmv(LoraModule module, NDArray x, NDArray base, NDArray bias, BatchPlan plan) {
        both(module, plan, x, "base", base, plan.rows(), module.outFeatures());
        bias(module, bias);
    }

    /** Checks what is given to a layer with adapters; the table's own checks come on top. */
    static void linear(LoraModule module, NDArray x, NDArray weight, NDArray bias, BatchPlan plan) {
        both(module, plan, x, "weight", weight, module.outFeatures(), module.inFeatures());
        bias(module, bias);
    }

    private static void both(
            LoraModule module,
            BatchPlan plan,
            NDArray x,
            String name,
            NDArray other,
            long height,
            long width) {
        if (!isMatrix(x, plan.rows(), module.inFeatures()) || !isMatrix(other, height, width)) {
            throw new IllegalArgumentException(
                    "Module "
                            + module
                            + " with a plan of "
                            + plan.rows()
                            + " rows takes x "
                            + new Shape(plan.rows(), module.inFeatures())
                            + " and "
                            + name
                            + " "
                            + new Shape(height, width)
                            + "; found x "
                            + x.getShape()
                            + " and "
                            + name
                            + " "
                            + other.getShape());
        }
    }

    private static void bias(LoraModule module, NDArray bias) {
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

    /* Without a Shape to compare with: making one costs more than the rest of a call's checks. */
    private static boolean isMatrix(NDArray array, long rows, long columns) {
        Shape shape = array.getShape();
        return shape.dimension() == 2 && shape.get(0) == rows && shape.get(1) == columns;
    }
}
