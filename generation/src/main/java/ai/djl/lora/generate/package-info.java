/*
 * SPDX-License-Identifier: Apache-2.0
 */
/** Text generation over a mixed batch: each row uses an adapter of its own, or none. */
package ai.djl.lora.generate;
