/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.benchmarks;

import ai.djl.lora.cli.bench.MachineLimit;
import ai.djl.lora.cli.bench.OperatorCase;
import com.google.gson.annotations.SerializedName;
import org.openjdk.jmh.results.Result;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.util.Statistics;

/**
 * One measured candidate and case. Medians are those over the measured iterations.
 *
 * @param candidate what was measured
 * @param type the type of weights and activations
 * @param in the module's inputs
 * @param out the module's outputs
 * @param rank the rank, or {@code mixed}
 * @param tokens the number of rows
 * @param adapters the number of adapters that rows chose from
 * @param popularity how they chose
 * @param micros the median time of a call in microseconds
 * @param spread how far the slowest iteration lies above the fastest, as a share of the median
 * @param bytes what must move
 * @param operations the floating-point operations
 * @param readGbPerSecond the machine's read bandwidth, measured before each iteration, median
 * @param gflopsPerSecond the machine's matmul rate in the same type, likewise
 * @param shareOfLimit the time that bandwidth or rate, whichever is slower, would take over the
 *     time that was taken
 */
record ResultRow(
        String candidate,
        String type,
        int in,
        int out,
        String rank,
        int tokens,
        int adapters,
        String popularity,
        double micros,
        double spread,
        long bytes,
        long operations,
        @SerializedName("read_gb_per_second") double readGbPerSecond,
        @SerializedName("gflops_per_second") double gflopsPerSecond,
        @SerializedName("share_of_limit") double shareOfLimit) {

    /**
     * Reads a row out of what JMH measured.
     *
     * @param run the result of {@link OperatorBenchmark}
     * @return the row
     */
    static ResultRow of(RunResult run) {
        Candidate candidate = Candidate.valueOf(run.getParams().getParam("candidate"));
        OperatorCase shape = CaseName.parse(run.getParams().getParam("batch"));
        Statistics times = run.getPrimaryResult().getStatistics();
        double micros = times.getPercentile(50);
        long bytes = (long) median(run, "bytes");
        long operations = (long) median(run, "operations");
        double readGbPerSecond = median(run, "readGbPerSecond");
        double gflopsPerSecond = median(run, "gflopsPerSecond");
        double limit =
                MachineLimit.seconds(
                        bytes, operations, readGbPerSecond * 1e9, gflopsPerSecond * 1e9);
        return new ResultRow(
                candidate.label(),
                candidate.type().label(),
                shape.in(),
                shape.out(),
                shape.ranks().size() == 1 ? String.valueOf(shape.rank(0)) : "mixed",
                shape.tokens(),
                shape.adapters(),
                shape.popularity().label(),
                micros,
                (times.getMax() - times.getMin()) / micros,
                bytes,
                operations,
                readGbPerSecond,
                gflopsPerSecond,
                limit * 1e6 / micros);
    }

    private static double median(RunResult run, String counter) {
        Result<?> result = run.getSecondaryResults().get(counter);
        return result.getStatistics().getPercentile(50);
    }
}
