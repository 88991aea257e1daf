/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

/** How much of an adapter acts in a model. */
public enum Compatibility {
    /** Every tensor is used, and none is missing. */
    FULL,
    /** It can be loaded if what is ignored and what is missing are named as allowed. */
    PARTIAL,
    /** It is refused whatever is allowed. */
    NONE
}
