/*
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * HTTP routes for adapters and inference, shared by the DJL Serving plugin and the embedded server.
 */
package ai.djl.lora.serving;
