/*
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * The methods by which PEFT trains adapters: what each follows in the configuration, and how its
 * tensors become changes of the model.
 */
package ai.djl.lora.adapter.variant;
