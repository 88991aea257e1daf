/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

/**
 * The buffers that samplers work in: a few arrays of the vocabulary's size, made when they are
 * first needed and kept. An engine has one for the thread on which it samples, and all its samplers
 * share it; not safe for use by several threads. Nothing stays in it from one token to the next.
 */
public final class SamplingWorkspace {

    private final Candidates candidates = new Candidates();
    private final TopSelector selector = new TopSelector();
    private float[] row = new float[0];
    private long[] mask = new long[0];

    /** Constructs a new {@code SamplingWorkspace} instance, which holds no buffers yet. */
    public SamplingWorkspace() {}

    Candidates candidates() {
        return candidates;
    }

    TopSelector selector() {
        return selector;
    }

    /** Returns a buffer for at least one row of logits. */
    float[] row(int vocabSize) {
        if (row.length < vocabSize) {
            row = new float[vocabSize];
        }
        return row;
    }

    /** Returns a buffer for one bit per token. */
    long[] mask(int vocabSize) {
        int words = (vocabSize + Long.SIZE - 1) / Long.SIZE;
        if (mask.length != words) {
            mask = new long[words];
        }
        return mask;
    }
}
