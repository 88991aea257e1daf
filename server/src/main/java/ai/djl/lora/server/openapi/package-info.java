/*
 * SPDX-License-Identifier: Apache-2.0
 */
/** The description of all routes, for programs. */
package ai.djl.lora.server.openapi;
