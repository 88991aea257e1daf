/*
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * Tests of djl-lora as a whole: the command line, the launcher, the examples and what is packaged.
 */
package ai.djl.lora.e2e;
