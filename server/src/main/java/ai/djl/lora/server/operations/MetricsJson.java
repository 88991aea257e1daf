/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.operations;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import io.micrometer.core.instrument.Measurement;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.Tag;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/** Writes meters as JSON: by name, each with its labels and its values. */
final class MetricsJson {

    private MetricsJson() {}

    static JsonObject write(List<Meter> meters) {
        Map<String, JsonArray> byName = new TreeMap<>();
        for (Meter meter : meters) {
            if (isBucket(meter)) {
                continue;
            }
            JsonObject one = new JsonObject();
            for (Tag tag : meter.getId().getTags()) {
                one.addProperty(tag.getKey(), tag.getValue());
            }
            for (Measurement measurement : meter.measure()) {
                double value = measurement.getValue();
                if (Double.isFinite(value)) {
                    one.addProperty(
                            measurement.getStatistic().name().toLowerCase(Locale.ROOT), value);
                }
            }
            byName.computeIfAbsent(
                            meter.getId().getName().replace('.', '_'), name -> new JsonArray())
                    .add(one);
        }
        JsonObject body = new JsonObject();
        byName.forEach(body::add);
        return body;
    }

    /* A timer's counts between limits are gauges beside it. */
    private static boolean isBucket(Meter meter) {
        return meter.getId().getTag("le") != null;
    }
}
