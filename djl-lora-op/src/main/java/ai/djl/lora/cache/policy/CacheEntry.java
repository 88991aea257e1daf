/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

/** tmp. */
public record CacheEntry(String id, long bytes, long loadNanos, double priority) {}
