/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.lora.op.ResolvedPlan;
import ai.djl.ndarray.NDArray;
import java.util.List;

/**
 * What every layer of a model needs to know of a step; made once for the step.
 *
 * @param plan the adapter of each row
 * @param rotary the cosines and sines of each row's position
 * @param shapes the shapes of queries, keys and values
 * @param pools where the rows' keys and values belong; together they cover the rows in their order
 */
record StepState(
        ResolvedPlan plan, RotaryTable.Rows rotary, AttentionShapes shapes, List<PoolRows> pools) {

    NDArray cos() {
        return rotary.cos();
    }

    NDArray sin() {
        return rotary.sin();
    }
}
