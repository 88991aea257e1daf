/*
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * What is done with adapters while the server runs: routes, sources, and which one a name means.
 */
package ai.djl.lora.server.adapters;
