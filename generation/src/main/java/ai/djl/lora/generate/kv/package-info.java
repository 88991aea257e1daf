/*
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * How keys and values that have not been used for a while are kept in less memory: codecs for the
 * blocks of a pool, and what each of them saves and loses.
 */
package ai.djl.lora.generate.kv;
