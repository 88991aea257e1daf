/*
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * Reads adapters as PEFT writes them and checks that they fit a model. An adapter that does not fit
 * is refused with a report.
 */
package ai.djl.lora.adapter;
