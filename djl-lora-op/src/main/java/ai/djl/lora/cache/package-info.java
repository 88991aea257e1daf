/*
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * Which adapters are resident, and the leases through which their weights are reached. What is
 * leased is never moved or freed.
 */
package ai.djl.lora.cache;
