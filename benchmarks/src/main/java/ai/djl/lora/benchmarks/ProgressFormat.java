/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.benchmarks;

import java.io.PrintWriter;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import org.openjdk.jmh.infra.BenchmarkParams;
import org.openjdk.jmh.infra.IterationParams;
import org.openjdk.jmh.results.BenchmarkResult;
import org.openjdk.jmh.results.IterationResult;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.format.OutputFormat;

/**
 * Prints one line for each measurement in place of JMH's report, which sums up what {@link Limit}
 * says of each iteration.
 */
final class ProgressFormat implements OutputFormat {

    private final PrintWriter out;
    private final int total;
    private int done;

    /**
     * Constructs a new {@code ProgressFormat} instance.
     *
     * @param out where to print
     * @param total the number of measurements
     */
    ProgressFormat(PrintWriter out, int total) {
        this.out = out;
        this.total = total;
    }

    /** {@inheritDoc} */
    @Override
    public void endBenchmark(BenchmarkResult result) {
        ++done;
        if (result == null) { // it failed, and JMH throws next
            return;
        }
        ResultRow row = ResultRow.of(new RunResult(result.getParams(), List.of(result)));
        out.printf(
                Locale.ROOT,
                "%d of %d: %s, %s: %.1f microseconds, %.2f of the limit%n",
                done,
                total,
                row.candidate(),
                result.getParams().getParam("batch"),
                row.micros(),
                row.shareOfLimit());
        out.flush();
    }

    /** {@inheritDoc} */
    @Override
    public void iteration(BenchmarkParams benchmark, IterationParams params, int iteration) {}

    /** {@inheritDoc} */
    @Override
    public void iterationResult(
            BenchmarkParams benchmark,
            IterationParams params,
            int iteration,
            IterationResult result) {}

    /** {@inheritDoc} */
    @Override
    public void startBenchmark(BenchmarkParams benchmark) {}

    /** {@inheritDoc} */
    @Override
    public void startRun() {}

    /** {@inheritDoc} */
    @Override
    public void endRun(Collection<RunResult> results) {}

    /** {@inheritDoc} */
    @Override
    public void print(String text) {}

    /** {@inheritDoc} */
    @Override
    public void println(String text) {}

    /** {@inheritDoc} */
    @Override
    public void verbosePrintln(String text) {}

    /** {@inheritDoc} */
    @Override
    public void write(int character) {}

    /** {@inheritDoc} */
    @Override
    public void write(byte[] characters) {}

    /** {@inheritDoc} */
    @Override
    public void flush() {
        out.flush();
    }

    /** {@inheritDoc} */
    @Override
    public void close() {
        out.flush();
    }
}
