/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter.variant;

import ai.djl.lora.tensor.HostTensor;

/**
 * A matrix of floats, rows behind one another, and the products that expanded variants need. Sums
 * of no products occur, so that float32 loses no more than one rounding.
 *
 * @param rows the number of rows
 * @param columns the number of columns
 * @param values the elements
 */
record Matrix(int rows, int columns, float[] values) {

    /** Returns a tensor of two dimensions. */
    static Matrix of(HostTensor tensor) {
        return new Matrix(
                Math.toIntExact(tensor.shape()[0]),
                Math.toIntExact(tensor.shape()[1]),
                tensor.toFloats());
    }

    /** Returns the unit matrix. */
    static Matrix identity(int size) {
        float[] values = new float[size * size];
        for (int i = 0; i < size; i++) {
            values[i * size + i] = 1;
        }
        return new Matrix(size, size, values);
    }

    /** Returns this matrix with each row multiplied by its factor. */
    Matrix scaleRows(float... factors) {
        float[] result = values.clone();
        for (int i = 0; i < result.length; i++) {
            result[i] *= factors[i / columns];
        }
        return new Matrix(rows, columns, result);
    }

    /** Returns this matrix with each column multiplied by its factor. */
    Matrix scaleColumns(float... factors) {
        float[] result = values.clone();
        for (int i = 0; i < result.length; i++) {
            result[i] *= factors[i % columns];
        }
        return new Matrix(rows, columns, result);
    }

    /** Returns the first rows and columns. */
    Matrix corner(int height, int width) {
        float[] result = new float[height * width];
        for (int i = 0; i < height; i++) {
            System.arraycopy(values, i * columns, result, i * width, width);
        }
        return new Matrix(height, width, result);
    }

    /**
     * Returns the Kronecker product: element [i * p + k, j * q + l] is this [i, j] * other [k, l].
     */
    Matrix kronecker(Matrix other) {
        int height = rows * other.rows;
        int width = columns * other.columns;
        float[] result = new float[Math.multiplyExact(height, width)];
        for (int row = 0; row < height; row++) {
            for (int column = 0; column < width; column++) {
                result[row * width + column] =
                        values[row / other.rows * columns + column / other.columns]
                                * other.values[
                                        row % other.rows * other.columns + column % other.columns];
            }
        }
        return new Matrix(height, width, result);
    }

    /**
     * Returns the products of each row with each of another matrix, element by element: row [i * k
     * + j] is row i of this times row j of the other, of k rows.
     */
    Matrix rowProducts(Matrix other) {
        float[] result = new float[Math.multiplyExact(rows * other.rows, columns)];
        int at = 0;
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < other.rows; j++) {
                for (int column = 0; column < columns; column++) {
                    result[at++] =
                            values[i * columns + column] * other.values[j * columns + column];
                }
            }
        }
        return new Matrix(rows * other.rows, columns, result);
    }

    /**
     * Returns the products of each column with each of another matrix, element by element: column
     * [i * k + j] is column i of this times column j of the other, of k columns.
     */
    Matrix columnProducts(Matrix other) {
        int width = columns * other.columns;
        float[] result = new float[Math.multiplyExact(rows, width)];
        int at = 0;
        for (int row = 0; row < rows; row++) {
            for (int i = 0; i < columns; i++) {
                for (int j = 0; j < other.columns; j++) {
                    result[at++] =
                            values[row * columns + i] * other.values[row * other.columns + j];
                }
            }
        }
        return new Matrix(rows, width, result);
    }

    /** Returns a tensor with these elements. */
    HostTensor toTensor() {
        return HostTensor.of(values, rows, columns);
    }
}
