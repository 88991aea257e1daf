/*
 * SPDX-License-Identifier: Apache-2.0
 */
/** Who may call the server, what they may do, and how often. */
package ai.djl.lora.server.security;
