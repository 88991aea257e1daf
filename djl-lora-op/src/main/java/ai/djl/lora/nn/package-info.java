/*
 * SPDX-License-Identifier: Apache-2.0
 */
/** DJL blocks that apply adapters, and the factory that builds them. */
package ai.djl.lora.nn;
