/*
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * The failures that djl-lora's public methods report. Each extends LoraException and names the
 * thing, what was found and what is allowed.
 */
package ai.djl.lora;
