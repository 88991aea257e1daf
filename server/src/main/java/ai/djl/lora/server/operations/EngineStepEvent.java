/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.operations;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import jdk.jfr.Timespan;

/** A step of the engine has ended, for Java Flight Recorder. */
@Name("ai.djl.lora.EngineStep")
@Label("Engine step")
@Description("A step of the engine has ended")
@Category("djl-lora")
@StackTrace(false)
final class EngineStepEvent extends Event {

    @Label("Running requests")
    final int running;

    @Label("Waiting requests")
    final int waiting;

    @Label("KV blocks in use")
    final int kvBlocks;

    @Label("Time")
    @Timespan(Timespan.NANOSECONDS)
    final long time;

    EngineStepEvent(int running, int waiting, int kvBlocks, long time) {
        this.running = running;
        this.waiting = waiting;
        this.kvBlocks = kvBlocks;
        this.time = time;
    }
}
