/*
 * SPDX-License-Identifier: Apache-2.0
 */
/** Where adapters may come from, how they are fetched, and the copies that the server keeps. */
package ai.djl.lora.server.adapters.source;
