/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter.variant;

import ai.djl.lora.adapter.Placement;
import ai.djl.lora.adapter.TensorReader;
import ai.djl.lora.safetensors.TensorInfo;
import java.util.Set;

/**
 * One of LoKr's two matrices.
 *
 * @param name its tensor's normalised name, or what those of its two factors begin with
 * @param whole whether it is stored as it is
 */
record LokrFactor(String name, boolean whole) {

    /** Returns a matrix of a module that has the given parameters. */
    static LokrFactor of(String name, Set<String> parameters) {
        String parameter = name.substring(name.lastIndexOf('.') + 1);
        return new LokrFactor(name, parameters.contains(parameter));
    }

    /** Returns the matrix's rows, 0 where its tensor is missing or no matrix. */
    long rows(Placement placement) {
        return side(placement, whole ? name : name + "_a", 0);
    }

    /** Returns the matrix's columns, 0 where its tensor is missing or no matrix. */
    long columns(Placement placement) {
        return side(placement, whole ? name : name + "_b", 1);
    }

    private static long side(Placement placement, String tensor, int dimension) {
        TensorInfo info = placement.tensors().get(tensor);
        return info == null || info.shape().length != 2 ? 0 : info.shape()[dimension];
    }

    /** Returns the rank of the product that stands for the matrix. */
    int rank(int rank, int rows, int columns) {
        return whole ? Math.min(rows, columns) : rank;
    }

    /** Claims the tensors. */
    void require(Placement.PartBuilder part, String by, int rank, long rows, long columns) {
        if (whole) {
            part.requireFactor(name, by, rows, columns);
        } else {
            part.requireFactor(name + "_a", by, rows, rank);
            part.requireFactor(name + "_b", by, rank, columns);
        }
    }

    /** Reads the tensors, as two matrices whose product is this one. */
    Matrix[] load(TensorReader tensors) {
        if (!whole) {
            return new Matrix[] {
                Matrix.of(tensors.read(name + "_a")), Matrix.of(tensors.read(name + "_b"))
            };
        }
        Matrix matrix = Matrix.of(tensors.read(name));
        return matrix.rows() <= matrix.columns()
                ? new Matrix[] {Matrix.identity(matrix.rows()), matrix}
                : new Matrix[] {matrix, Matrix.identity(matrix.columns())};
    }
}
