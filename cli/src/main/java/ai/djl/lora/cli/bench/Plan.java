/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.lora.tensor.ElementType;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What of a model and its adapters fits into some memory, and how fast a step can be.
 *
 * @param shape the model's shape
 * @param type the type to compute in
 * @param adapters how many adapters there are
 * @param rank their rank, in all linear layers
 * @param memory what may be used, in bytes
 * @param requests how many run at once
 * @param context the tokens that each has at most
 */
record Plan(
        SyntheticModel shape,
        ElementType type,
        int adapters,
        int rank,
        long memory,
        int requests,
        int context) {

    /** From this share of the memory on adapters leave it (docs/residency.md). */
    static final double SOFT_PRESSURE = 0.7;

    /** What a process takes beside weights, keys and values (docs/results/engine.md, 7B). */
    static final long PROCESS_BYTES = 650L << 20;

    /** What the engine's steps usually reach of their limit, or more (docs/results/engine.md). */
    static final double USUAL_SHARE = 0.7;

    /** Returns the bytes of the base model's weights. */
    long baseBytes() {
        return shape.weights() * type.bytes();
    }

    /** Returns the bytes of an adapter on the device. */
    long adapterBytes() {
        return shape.adapterProducts(rank) * type.bytes();
    }

    /** Returns the bytes of the keys and values of all requests at once. */
    long keyValueBytes() {
        return (long) requests * context * keyValueBytesOfToken();
    }

    private long keyValueBytesOfToken() {
        return shape.keyValueBytes() / Short.BYTES * type.bytes();
    }

    /** Returns what is left for adapters before memory is short; below 0 if nothing is. */
    long roomForAdapters() {
        return (long) (memory * SOFT_PRESSURE) - baseBytes() - keyValueBytes() - PROCESS_BYTES;
    }

    /** Returns how many adapters stay on the device. */
    int residentAdapters() {
        return (int) Math.max(0, Math.min(adapters, roomForAdapters() / adapterBytes()));
    }

    /** Whether a step can run in which every request has an adapter of its own. */
    boolean fits() {
        return residentAdapters() >= Math.min(adapters, requests);
    }

    /** Returns the least memory with which {@link #fits} holds. */
    long leastMemory() {
        long needed =
                baseBytes()
                        + keyValueBytes()
                        + PROCESS_BYTES
                        + Math.min(adapters, requests) * adapterBytes();
        return (long) Math.ceil(needed / SOFT_PRESSURE);
    }

    /** Returns the share of requests that find their adapter, if popularity follows Zipf's law. */
    double zipfHitRate() {
        return harmonic(residentAdapters()) / harmonic(adapters);
    }

    private static double harmonic(int n) {
        double sum = 0;
        for (int i = n; i > 0; --i) {
            sum += 1.0 / i;
        }
        return sum;
    }

    /**
     * Returns the least time of a step in which each request gets one token.
     *
     * @param distinct how many adapters are in it
     * @param bandwidth bytes a second
     * @param rate operations a second
     * @return seconds
     */
    double leastStepSeconds(int distinct, double bandwidth, double rate) {
        double bytes =
                (shape.products() + distinct * shape.adapterProducts(rank)) * (double) type.bytes()
                        + requests * (context / 2.0) * keyValueBytesOfToken();
        int adapted = distinct == 0 ? 0 : requests;
        double operations =
                2.0 * (requests * shape.products() + adapted * shape.adapterProducts(rank));
        return Math.max(bytes / bandwidth, operations / rate);
    }

    /** Returns what fits, for a report. */
    Map<String, Object> memoryReport() {
        Map<String, Object> report = new LinkedHashMap<>();
        report.put("memory_bytes", memory);
        report.put("base_bytes", baseBytes());
        report.put("kv_bytes", keyValueBytes());
        report.put("process_bytes", PROCESS_BYTES);
        report.put("adapter_bytes", adapterBytes());
        report.put("room_for_adapters_bytes", Math.max(0, roomForAdapters()));
        report.put("adapters_on_device", residentAdapters());
        report.put("adapters_on_disk", adapters - residentAdapters());
        report.put("disk_bytes", adapters * adapterBytes());
        report.put("zipf_hit_rate", zipfHitRate());
        report.put("fits", fits());
        report.put("least_memory_bytes", leastMemory());
        return report;
    }

    /**
     * Returns what steps cost, for a report.
     *
     * @param bandwidth bytes a second
     * @param rate operations a second
     * @return tokens a second, of the limit and as is usual
     */
    Map<String, Object> speedReport(double bandwidth, double rate) {
        Map<String, Object> report = new LinkedHashMap<>();
        report.put("read_gb_per_second", bandwidth * 1e-9);
        report.put("matmul_gflops", rate * 1e-9);
        int distinct = Math.min(adapters, requests);
        report.put("distinct_adapters_in_a_step", distinct);
        double step = leastStepSeconds(distinct, bandwidth, rate);
        double base = leastStepSeconds(0, bandwidth, rate);
        report.put("limit_tokens_per_second", requests / step);
        report.put("expected_tokens_per_second", USUAL_SHARE * requests / step);
        report.put("expected_base_tokens_per_second", USUAL_SHARE * requests / base);
        return report;
    }
}
