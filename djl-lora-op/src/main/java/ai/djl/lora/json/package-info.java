/*
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * Reads JSON as strictly as RFC 8259 writes it, and shows foreign text in messages of one line.
 * Nothing here knows what the documents mean.
 */
package ai.djl.lora.json;
