/*
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * Reads adapters from every file format that they are given in, and believes nothing that a file
 * says of itself before it is checked. What comes out has one form: PEFT's tensor names and PEFT's
 * configuration.
 */
package ai.djl.lora.format;
