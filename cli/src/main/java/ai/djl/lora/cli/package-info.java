/*
 * SPDX-License-Identifier: Apache-2.0
 */
/** The commands of the djl-lora command line. */
package ai.djl.lora.cli;
