/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import java.util.Set;

/** The codes of the issues that loading finds. */
final class Issues {

    /** A tensor that nothing uses. */
    static final String TENSOR_UNUSED = "tensor-unused";

    /** A tensor that others of its module wait for. */
    static final String TENSOR_MISSING = "tensor-missing";

    /** A module that the configuration names and that has no tensor. */
    static final String MODULE_MISSING = "module-missing";

    /** A tensor of another shape than its module asks for. */
    static final String TENSOR_SHAPE = "tensor-shape";

    /** A tensor whose elements are of a type that is not read. */
    static final String TENSOR_TYPE = "tensor-type";

    /** A tensor that holds what is not finite. */
    static final String TENSOR_VALUE = "tensor-value";

    /** An adapter of a kind that is not supported. */
    static final String VARIANT = "variant-unsupported";

    /** More than the policy allows. */
    static final String CAP = "cap-exceeded";

    /** Another revision than the policy pins. */
    static final String REVISION = "revision-mismatch";

    /** What stands in the configuration and deserves a look. */
    static final String CONFIG = "config";

    /** The errors that naming what may be ignored makes warnings of. */
    static final Set<String> EASED = Set.of(TENSOR_UNUSED, TENSOR_MISSING, MODULE_MISSING);

    private Issues() {}
}
