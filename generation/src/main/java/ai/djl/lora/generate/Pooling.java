/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate;

import ai.djl.lora.LoraConfigurationException;
import java.util.Arrays;
import java.util.List;

/**
 * How one vector is made of those of a text's tokens. The labels are those of DJL's {@code
 * TextEmbeddingTranslatorFactory}. An adapter's virtual tokens are no tokens of the text.
 */
public enum Pooling {

    /** The mean of all tokens'. */
    MEAN("mean"),

    /** The mean of all tokens', the n-th counted n times (SGPT, arXiv 2202.08904). */
    WEIGHTED_MEAN("weightedmean"),

    /** The last token's, the only one that has seen the whole text. */
    LAST_TOKEN("lasttoken");

    private final String label;

    Pooling(String label) {
        this.label = label;
    }

    /**
     * Returns the name that arguments and requests use.
     *
     * @return the label
     */
    public String label() {
        return label;
    }

    /**
     * Returns the pooling of a label.
     *
     * @param label the label
     * @return the pooling
     * @throws LoraConfigurationException if there is none of that label
     */
    public static Pooling ofLabel(String label) {
        for (Pooling pooling : values()) {
            if (pooling.label.equals(label)) {
                return pooling;
            }
        }
        List<String> known = Arrays.stream(values()).map(Pooling::label).toList();
        throw new LoraConfigurationException(
                "pooling is \"" + label + "\"; it must be one of " + known);
    }
}
