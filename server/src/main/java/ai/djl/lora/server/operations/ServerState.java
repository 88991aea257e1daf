/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.operations;

/** How far a server has come. */
public enum ServerState {
    /** It is being put together. */
    STARTING,
    /** It takes requests. */
    READY,
    /** It answers what it has taken, and ends. */
    ENDING
}
