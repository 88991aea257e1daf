/*
 * SPDX-License-Identifier: Apache-2.0
 */
/** How the server is watched and run: health, metrics, logs. */
package ai.djl.lora.server.operations;
