/*
 * SPDX-License-Identifier: Apache-2.0
 */
/** Where an engine's time goes, from the samples of a profiler. */
package ai.djl.lora.benchmarks.profile;
