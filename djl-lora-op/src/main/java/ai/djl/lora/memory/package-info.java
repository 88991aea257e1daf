/*
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * The memory that adapters lie in: pools of one fixed size from which blocks are cut, and a monitor
 * that says how much is left. Nothing here knows what an adapter is.
 */
package ai.djl.lora.memory;
