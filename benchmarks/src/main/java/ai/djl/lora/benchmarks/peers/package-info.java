/*
 * SPDX-License-Identifier: Apache-2.0
 */
/** This project's side of the comparison with other engines, which benchmarks/peers runs. */
package ai.djl.lora.benchmarks.peers;
