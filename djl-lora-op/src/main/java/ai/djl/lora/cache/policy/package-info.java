/*
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * Which adapter leaves a full tier: the strategies, and the replay of traces that compares them.
 * Nothing here holds weights or memory; the store tells a strategy what happened and asks it for a
 * victim.
 */
package ai.djl.lora.cache.policy;
