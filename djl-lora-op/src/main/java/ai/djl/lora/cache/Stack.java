/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import java.util.List;
import java.util.Map;

/** The names of the adapters that make up a stack, each with its weight. */
final class Stack {

    private static final float[] ALONE = {1};

    private final List<String> names;
    private final float[] weights;

    private Stack(List<String> names, float[] weights) {
        this.names = names;
        this.weights = weights;
    }

    Stack(Map<String, Float> parts) {
        this(List.copyOf(parts.keySet()), new float[parts.size()]);
        for (int i = 0; i < weights.length; ++i) {
            weights[i] = parts.get(names.get(i));
        }
    }

    /** Returns one adapter at its own strength. */
    static Stack of(String name) {
        return new Stack(List.of(name), ALONE);
    }

    List<String> names() {
        return names;
    }

    /** Returns the weights, which are not to be changed. */
    float[] weights() {
        return weights;
    }
}
