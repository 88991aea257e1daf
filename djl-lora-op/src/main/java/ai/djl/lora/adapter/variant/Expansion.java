/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter.variant;

import ai.djl.lora.LoraVariantException;
import ai.djl.lora.adapter.Placement;
import ai.djl.lora.adapter.Severity;
import ai.djl.lora.json.Message;

/** Keeps products that a variant is expanded to from becoming as large as the layer itself. */
final class Expansion {

    private Expansion() {}

    /**
     * Refuses an expansion that is too large.
     *
     * @param placement the model and the policy
     * @param variant the variant's name
     * @param module the module's name
     * @param rank the rank in the file
     * @param expanded the rank of the product
     */
    static void check(Placement placement, String variant, String module, int rank, long expanded) {
        int cap = placement.policy().maxExpandedRank();
        if (expanded > cap) {
            throw new LoraVariantException(
                    placement.source()
                            + ": "
                            + variant
                            + " of module "
                            + Message.quote(module)
                            + " with rank "
                            + rank
                            + " makes a product of rank "
                            + expanded
                            + ", allowed are "
                            + cap);
        }
        if (expanded > rank) {
            placement.addIssue(
                    Severity.INFO,
                    "expanded",
                    variant
                            + " of module "
                            + Message.quote(module)
                            + " with rank "
                            + rank
                            + " takes the place of a product of rank "
                            + expanded);
        }
    }
}
