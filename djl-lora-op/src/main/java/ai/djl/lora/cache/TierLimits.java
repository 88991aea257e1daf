/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

/**
 * How much a tier may hold.
 *
 * @param adapters the number of adapters
 * @param bytes their size in bytes
 */
public record TierLimits(int adapters, long bytes) {}
