/*
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * From a request's body to its answer: which adapter answers, how tokens are chosen, and how the
 * answer reaches the client, whole or while it is written.
 */
package ai.djl.lora.server.inference;
