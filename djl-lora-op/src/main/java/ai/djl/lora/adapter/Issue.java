/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

/**
 * Something that was found when an adapter was laid beside a model.
 *
 * @param severity how grave it is
 * @param code what kind of thing it is, such as {@code tensor-shape}; lower case, with dashes
 * @param message one line that names the thing, what was found and what was expected
 */
public record Issue(Severity severity, String code, String message) {}
