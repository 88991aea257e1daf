/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.operations;

import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import jdk.jfr.Timespan;

/** An adapter was brought to the device, for Java Flight Recorder. */
@Name("ai.djl.lora.AdapterLoad")
@Label("Adapter load")
@Description("An adapter was brought to the device")
@Category("djl-lora")
@StackTrace(false)
final class AdapterLoadEvent extends Event {

    @Label("Adapter")
    final String adapter;

    @Label("Revision")
    final String revision;

    @Label("Size")
    @DataAmount
    final long bytes;

    @Label("Time")
    @Timespan(Timespan.NANOSECONDS)
    final long time;

    AdapterLoadEvent(String adapter, String revision, long bytes, long time) {
        this.adapter = adapter;
        this.revision = revision;
        this.bytes = bytes;
        this.time = time;
    }
}
