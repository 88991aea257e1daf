/*
 * SPDX-License-Identifier: Apache-2.0
 */
/** Trials of a revision before requests get it. */
package ai.djl.lora.server.adapters.swap;
