/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;

/**
 * A base weight that lies in the host's memory, and in a buffer on the device while its layer is
 * computed.
 */
public final class OffloadedWeight {

    private final LayerStream stream;
    private final int layer;
    private final int part;
    private final NDArray view;

    OffloadedWeight(LayerStream stream, int layer, int part, NDArray view) {
        this.stream = stream;
        this.layer = layer;
        this.part = part;
        this.view = view;
    }

    /**
     * Returns the weight's shape.
     *
     * @return [out, in]
     */
    public Shape shape() {
        return view.getShape();
    }

    /**
     * Returns the weight on the device, where it lies for as long as its layer is computed.
     *
     * @return [out, in], in a buffer that other layers use afterwards
     * @throws IllegalStateException if the calling thread is not in this layer of a step: the
     *     buffer may hold another layer
     */
    public NDArray array() {
        stream.requireEntered(layer);
        return view;
    }

    /**
     * Copies rows from the host's memory to the device. Not to be called while layers are moved.
     *
     * @param manager the manager to attach the array to
     * @param from the first row
     * @param to the row behind the last
     * @return [to - from, in]
     */
    NDArray rows(NDManager manager, long from, long to) {
        return stream.rows(manager, layer, part, from, to);
    }

    void close() {
        view.close();
    }
}
