/*
 * SPDX-License-Identifier: Apache-2.0
 */
/** The routes of OpenAI's API, and what their answers look like. */
package ai.djl.lora.server.openai;
