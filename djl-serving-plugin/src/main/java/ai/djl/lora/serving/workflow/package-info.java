/*
 * SPDX-License-Identifier: Apache-2.0
 */

/**
 * Functions for DJL Serving's workflows: one that has a named adapter answer, and one that chooses
 * the adapter by rules.
 */
package ai.djl.lora.serving.workflow;
