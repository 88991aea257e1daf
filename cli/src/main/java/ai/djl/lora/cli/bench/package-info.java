/*
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * The command line's benchmarks. Each measures a ratio within one run: against the machine's own
 * limit or against another way to do the same, interleaved, by medians.
 */
package ai.djl.lora.cli.bench;
