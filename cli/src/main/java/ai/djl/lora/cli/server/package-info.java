/*
 * SPDX-License-Identifier: Apache-2.0
 */
/** The commands that speak to a running server. */
package ai.djl.lora.cli.server;
