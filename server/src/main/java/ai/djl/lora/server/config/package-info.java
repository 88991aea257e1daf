/*
 * SPDX-License-Identifier: Apache-2.0
 */
/** The server's configuration: its options, and the YAML file that sets them. */
package ai.djl.lora.server.config;
