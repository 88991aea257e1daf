/*
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * JMH benchmarks of the operator as Java calls it. Each row comes with what must move and be
 * computed, and with what the machine could do meanwhile.
 */
package ai.djl.lora.benchmarks;
