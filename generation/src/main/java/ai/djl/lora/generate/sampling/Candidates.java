/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

import java.util.Arrays;

/**
 * The tokens that may be drawn, with their weights: the numerators of the softmax against the
 * greatest logit, so the most likely token weighs 1 and none overflows. Each step narrows what the
 * one before left, as the warpers of Hugging Face transformers do; a share is always one of what is
 * left.
 */
final class Candidates {

    /**
     * How many tokens the first look for a prefix takes, and by how much each further one grows.
     */
    private static final int FIRST_PREFIX = 64;

    private static final int PREFIX_GROWTH = 8;

    private final TopSelector selector = new TopSelector();
    private int[] ids = new int[0];
    private double[] weights = new double[0];
    private float[] typicality = new float[0];
    private int size;

    private float[] logits;
    private int offset;
    private int vocabSize;
    private float greatest;
    private double temperature;

    /**
     * Begins with a row of logits.
     *
     * @param row the logits of many rows behind one another, none NaN or positive infinity
     * @param start the first logit of the row
     * @param length the number of logits in the row
     * @param greatestLogit the greatest of them, finite
     * @param divisor the temperature, above 0
     */
    void begin(float[] row, int start, int length, float greatestLogit, double divisor) {
        logits = row;
        offset = start;
        vocabSize = length;
        greatest = greatestLogit;
        temperature = divisor;
        size = 0;
    }

    /** Takes all tokens, in the order of their ids; one that is ruled out weighs 0. */
    void takeAll() {
        ensure(vocabSize);
        // leaving out those that weigh 0 would cost more than twice the time
        for (int i = 0; i < vocabSize; ++i) {
            ids[i] = i;
            weights[i] = weight(i);
        }
        size = vocabSize;
    }

    /**
     * Takes the tokens that are at least so likely against the most likely one, in the order of
     * their ids.
     */
    void takeLikely(double share) {
        ensure(vocabSize);
        // spares most tokens the exponential; the weight decides about those at the edge
        double least = Math.log(share) - 1e-6;
        for (int i = 0; i < vocabSize; ++i) {
            double exponent = exponent(i);
            if (exponent >= least) {
                double weight = Math.exp(exponent);
                append(i, weight >= share ? weight : 0);
            }
        }
    }

    /** Takes the most likely tokens, the most likely first. */
    void takeTop(int k) {
        int selected = selector.select(logits, offset, vocabSize, k);
        ensure(selected);
        for (int i = 0; i < selected; ++i) {
            append(selector.index(i), weight(selector.index(i)));
        }
    }

    /** Takes the fewest tokens, the most likely first, that cover a share of all probability. */
    void takeNucleus(double share) {
        double sum = 0;
        for (int i = 0; i < vocabSize; ++i) {
            sum += weight(i);
        }
        double covered = 0;
        for (long k = FIRST_PREFIX; ; k *= PREFIX_GROWTH) {
            int selected = selector.select(logits, offset, vocabSize, (int) Math.min(k, vocabSize));
            ensure(selected);
            // what the last look took comes first again, in the same order
            for (int i = size; i < selected; ++i) {
                int id = selector.index(i);
                double weight = weight(id);
                append(id, weight);
                covered += weight;
                if (weight == 0 || covered >= share * sum) {
                    return;
                }
            }
            if (selected == vocabSize) {
                return;
            }
        }
    }

    /** Keeps the fewest of the sorted tokens that cover a share of their probability. */
    void keepNucleus(double share) {
        double needed = share * sum();
        double covered = 0;
        for (int i = 0; i < size; ++i) {
            covered += weights[i];
            if (covered >= needed) {
                size = i + 1;
            }
        }
    }

    /** Keeps the tokens that are at least so likely against the most likely one. */
    void keepLikely(double share) {
        int kept = 0;
        for (int i = 0; i < size; ++i) {
            if (weights[i] >= share) {
                ids[kept] = ids[i];
                weights[kept++] = weights[i];
            }
        }
        size = kept;
    }

    /**
     * Keeps the tokens whose surprise lies nearest to the entropy, as many as cover a share; one
     * that is as near as the last of them stays too.
     */
    void keepTypical(double share) {
        double sum = sum();
        double mean = 0;
        for (int i = 0; i < size; ++i) {
            // a logit of negative infinity would make this 0 times infinity
            mean += weights[i] > 0 ? weights[i] * exponent(ids[i]) : 0;
        }
        mean /= sum;
        // The surprise of a token is log(sum) - exponent, and the entropy log(sum) - mean.
        if (typicality.length < size) {
            typicality = new float[size];
        }
        for (int i = 0; i < size; ++i) {
            typicality[i] = (float) -Math.abs(exponent(ids[i]) - mean);
        }
        float least = least(share * sum);
        int kept = 0;
        for (int i = 0; i < size; ++i) {
            if (typicality[i] >= least) {
                ids[kept] = ids[i];
                weights[kept++] = weights[i];
            }
        }
        size = kept;
    }

    /** Returns the typicality of the last token that it takes to cover a weight. */
    private float least(double needed) {
        for (long k = FIRST_PREFIX; ; k *= PREFIX_GROWTH) {
            int selected = selector.select(typicality, 0, size, (int) Math.min(k, size));
            double covered = 0;
            for (int i = 0; i < selected; ++i) {
                covered += weights[selector.index(i)];
                if (covered >= needed) {
                    return typicality[selector.index(i)];
                }
            }
            if (selected == size) {
                return Float.NEGATIVE_INFINITY;
            }
        }
    }

    /**
     * Draws one.
     *
     * @param uniform a random number in [0, 1)
     * @return the token's id
     */
    int draw(double uniform) {
        double left = uniform * sum();
        for (int i = 0; i < size; ++i) {
            left -= weights[i];
            if (left < 0) {
                return ids[i];
            }
        }
        // rounding left a rest behind the last one that can be drawn
        int last = size - 1;
        while (weights[last] == 0) {
            --last;
        }
        return ids[last];
    }

    private double sum() {
        double sum = 0;
        for (int i = 0; i < size; ++i) {
            sum += weights[i];
        }
        return sum;
    }

    private double exponent(int id) {
        return ((double) logits[offset + id] - greatest) / temperature;
    }

    private double weight(int id) {
        return Math.exp(exponent(id));
    }

    /** Appends a token, unless it cannot be drawn. */
    private void append(int id, double weight) {
        if (weight > 0) {
            ids[size] = id;
            weights[size++] = weight;
        }
    }

    private void ensure(int capacity) {
        if (ids.length < capacity) {
            // keeps what was taken: a nucleus grows while it is taken
            ids = Arrays.copyOf(ids, capacity);
            weights = Arrays.copyOf(weights, capacity);
        }
    }
}
