/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.operations;

import ai.djl.lora.cache.AdapterState;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.generate.engine.EngineStatistics;
import ai.djl.lora.registry.RegisteredAdapter;
import ai.djl.lora.server.model.ServedModel;

/**
 * The metrics by which routers that know of adapters choose among servers (Kubernetes' Gateway API
 * Inference Extension), under the names that vLLM gave them. They have a colon, of which Micrometer
 * would make an underscore, and are written here.
 */
final class VllmMetrics {

    private final ServedModel model;
    private final EngineMetrics engine;

    VllmMetrics(ServedModel model, EngineMetrics engine) {
        this.model = model;
        this.engine = engine;
    }

    /** Returns the lines. */
    String text() {
        StringBuilder out = new StringBuilder();
        EngineStatistics statistics = model.replicas().statistics();
        String name = "model_name=\"" + escaped(model.name()) + '"';
        gauge(out, "num_requests_running", "Requests that run.");
        line(out, "num_requests_running", name, statistics.running());
        gauge(out, "num_requests_waiting", "Requests that wait.");
        line(out, "num_requests_waiting", name, statistics.waiting());
        gauge(out, "kv_cache_usage_perc", "The share of KV blocks in use, from 0 to 1.");
        line(
                out,
                "kv_cache_usage_perc",
                name,
                (double) statistics.usedKvBlocks() / Math.max(1, statistics.kvBlocks()));
        gauge(out, "lora_requests_info", "Adapters with requests; the value is the time.");
        line(
                out,
                "lora_requests_info",
                "max_lora=\""
                        + model.adapters().statistics().device().limits().entries()
                        + "\",running_lora_adapters=\""
                        + escaped(String.join(",", engine.running()))
                        + "\",waiting_lora_adapters=\""
                        + escaped(String.join(",", engine.waiting()))
                        + '"',
                System.currentTimeMillis() / 1000.0);
        loaded(out, name);
        return out.toString();
    }

    /* What routers look at to send requests where an adapter is; their words for the tiers are gpu,
     * where it can answer at once, and cpu. An adapter that is nowhere has no line. */
    private void loaded(StringBuilder out, String name) {
        AdapterStore store = model.adapters();
        int ready = 0;
        gauge(out, "lora_adapter_loaded", "1 where an adapter is in memory, and in which.");
        for (RegisteredAdapter adapter : store.getRegistry().list()) {
            if (adapter.retired() || !store.names().contains(adapter.name())) {
                continue;
            }
            AdapterState.Place place = store.state(adapter.name()).place();
            boolean device = place == AdapterState.Place.DEVICE;
            ready += device ? 1 : 0;
            if (device || place == AdapterState.Place.HOST) {
                line(
                        out,
                        "lora_adapter_loaded",
                        "adapter_name=\""
                                + escaped(adapter.name())
                                + "\",level=\""
                                + (device ? "gpu" : "cpu")
                                + "\",pinned=\""
                                + adapter.pinned()
                                + '"',
                        1);
            }
        }
        gauge(out, "num_gpu_loaded_lora_adapters", "Adapters that can answer at once.");
        line(out, "num_gpu_loaded_lora_adapters", name, ready);
        gauge(out, "max_gpu_lora_adapters", "How many can be there at a time.");
        line(out, "max_gpu_lora_adapters", name, store.statistics().device().limits().entries());
    }

    private static void gauge(StringBuilder out, String name, String help) {
        out.append("# HELP vllm:").append(name).append(' ').append(help).append('\n');
        out.append("# TYPE vllm:").append(name).append(" gauge\n");
    }

    private static void line(StringBuilder out, String name, String labels, double value) {
        out.append("vllm:").append(name).append('{').append(labels).append("} ");
        out.append(value).append('\n');
    }

    /** Returns a label's value as the exposition format wants it. */
    static String escaped(String value) {
        return value.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n");
    }
}
