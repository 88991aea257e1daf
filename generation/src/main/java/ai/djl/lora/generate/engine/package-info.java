/*
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * The generation engine: requests join and leave a running batch at every step, each with its own
 * adapter. A step is scheduled, run and taken account of, on one thread.
 */
package ai.djl.lora.generate.engine;
