/*
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * Element types, conversions between them, and tensors that lie in the host's memory. Nothing here
 * knows of adapters or of an engine.
 */
package ai.djl.lora.tensor;
