/*
 * SPDX-License-Identifier: Apache-2.0
 */
/** Small programs that show djl-lora from Java. */
package ai.djl.lora.examples;
