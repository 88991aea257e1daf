/*
 * SPDX-License-Identifier: Apache-2.0
 */
/** JMH benchmarks of djl-lora's parts. */
package ai.djl.lora.benchmarks;
