/*
 * SPDX-License-Identifier: Apache-2.0
 */
/** The model that a server serves, with its tokenizer and its engine. */
package ai.djl.lora.server.model;
