/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

/**
 * Whether a backend can be used in this process.
 *
 * @param name the backend's name
 * @param available whether it can be used
 * @param reason why it can, or cannot
 */
public record BackendStatus(String name, boolean available, String reason) {}
