/*
 * SPDX-License-Identifier: Apache-2.0
 */
/** Several engines over one loaded model, and what decides which of them gets a request. */
package ai.djl.lora.server.replica;
