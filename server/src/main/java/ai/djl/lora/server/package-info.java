/*
 * SPDX-License-Identifier: Apache-2.0
 */
/** The embedded server: what is served, by which options, from start to end. */
package ai.djl.lora.server;
