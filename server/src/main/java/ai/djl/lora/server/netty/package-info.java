/*
 * SPDX-License-Identifier: Apache-2.0
 */
/** Carries requests and responses over connections, with Netty. */
package ai.djl.lora.server.netty;
