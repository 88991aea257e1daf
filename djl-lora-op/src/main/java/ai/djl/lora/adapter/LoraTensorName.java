/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import java.util.Optional;

/**
 * What the name of a tensor in an adapter's file says.
 *
 * <p>PEFT writes {@code base_model.model.<module>.lora_A.weight}. Files that were saved by other
 * means keep the adapter's name inside, {@code <module>.lora_A.default.weight}, or lack the prefix.
 *
 * @param module the module in the base model
 * @param part which of the two matrices
 * @param adapter the adapter's name inside the tensor's, empty where there is none
 */
record LoraTensorName(String module, Part part, String adapter) {

    private static final String PREFIX = "base_model.model.";
    private static final String SUFFIX = ".weight";

    /** One of LoRA's two matrices. */
    enum Part {
        /** The matrix [rank, in] that the input meets first. */
        A(".lora_A"),
        /** The matrix [out, rank]. */
        B(".lora_B");

        private final String marker;

        Part(String marker) {
            this.marker = marker;
        }
    }

    /** Returns what a name says, empty where it is no name of a LoRA matrix. */
    static Optional<LoraTensorName> parse(String name) {
        if (!name.endsWith(SUFFIX)) {
            return Optional.empty();
        }
        String start = name.startsWith(PREFIX) ? name.substring(PREFIX.length()) : name;
        String stem = start.substring(0, Math.max(0, start.length() - SUFFIX.length()));
        for (Part part : Part.values()) {
            int at = stem.lastIndexOf(part.marker);
            if (at <= 0) {
                continue;
            }
            String rest = stem.substring(at + part.marker.length());
            if (rest.isEmpty()) {
                return Optional.of(new LoraTensorName(stem.substring(0, at), part, ""));
            }
            if (rest.length() > 1 && rest.lastIndexOf('.') == 0) {
                return Optional.of(
                        new LoraTensorName(stem.substring(0, at), part, rest.substring(1)));
            }
        }
        return Optional.empty();
    }
}
