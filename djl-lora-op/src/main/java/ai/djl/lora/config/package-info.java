/*
 * SPDX-License-Identifier: Apache-2.0
 */

/** Configuration by YAML files: where adapters are kept, how much of them, and how they move. */
package ai.djl.lora.config;
