/*
 * SPDX-License-Identifier: Apache-2.0
 */
/** Model architectures as DJL blocks, with their configuration, weights and key/value caches. */
package ai.djl.lora.model;
