/*
 * SPDX-License-Identifier: Apache-2.0
 */
/** The routes by which adapters are managed: this project's own, and those of other servers. */
package ai.djl.lora.server.adapters.routes;
