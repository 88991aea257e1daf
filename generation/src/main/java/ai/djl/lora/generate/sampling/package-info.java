/*
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * Chooses the tokens of a sequence from a model's logits. Nothing here knows of models, adapters or
 * batches: a sampler sees one row of logits at a time.
 */
package ai.djl.lora.generate.sampling;
