/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

/**
 * Whether a backend can be used in this process, and how it has done.
 *
 * @param name the backend's name
 * @param available whether it can be used
 * @param reason what it is, or why it cannot be used
 * @param chosen whether it is the one in use
 * @param failures how many steps it has failed
 */
public record BackendStatus(
        String name, boolean available, String reason, boolean chosen, int failures) {}
