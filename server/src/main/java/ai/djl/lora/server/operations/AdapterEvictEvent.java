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

/** An adapter has left a tier, for Java Flight Recorder. */
@Name("ai.djl.lora.AdapterEvict")
@Label("Adapter eviction")
@Description("An adapter has left a tier")
@Category("djl-lora")
@StackTrace(false)
final class AdapterEvictEvent extends Event {

    @Label("Adapter")
    final String adapter;

    @Label("Tier")
    final String tier;

    @Label("Size")
    @DataAmount
    final long bytes;

    @Label("Cause")
    final String cause;

    AdapterEvictEvent(String adapter, String tier, long bytes, String cause) {
        this.adapter = adapter;
        this.tier = tier;
        this.bytes = bytes;
        this.cause = cause;
    }
}
