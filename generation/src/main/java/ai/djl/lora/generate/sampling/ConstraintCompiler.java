/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

/** Compiles constraints. */
final class ConstraintCompiler {}
