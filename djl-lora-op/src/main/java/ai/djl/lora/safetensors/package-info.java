/*
 * SPDX-License-Identifier: Apache-2.0
 */
/** Reads the safetensors format, and checks what a file says of itself before believing it. */
package ai.djl.lora.safetensors;
