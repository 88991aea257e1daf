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

/** A name leads to another revision of its adapter, for Java Flight Recorder. */
@Name("ai.djl.lora.AdapterSwap")
@Label("Adapter swap")
@Description("A name leads to another revision of its adapter")
@Category("djl-lora")
@StackTrace(false)
final class AdapterSwapEvent extends Event {

    @Label("Adapter")
    final String adapter;

    @Label("Revision before")
    final String before;

    @Label("Revision after")
    final String after;

    AdapterSwapEvent(String adapter, String before, String after) {
        this.adapter = adapter;
        this.before = before;
        this.after = after;
    }
}
