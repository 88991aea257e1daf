/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

/** How far an engine has come. */
public enum EngineState {
    /** It takes requests. */
    RUNNING,

    /** It takes no more requests, and those that it has go on. */
    DRAINING,

    /** It was closed, or it has failed; nothing runs any more. */
    ENDED
}
