/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.benchmarks;

import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.CommandLineOptionException;
import org.openjdk.jmh.runner.options.CommandLineOptions;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.VerboseMode;
import org.openjdk.jmh.util.Statistics;

/** Runs the benchmarks of leases under JMH, on one thread and on as many as there are cores. */
public final class LeaseCommand {

    private static final double MEDIAN = 50;
    private static final double TAIL = 99;

    private LeaseCommand() {}

    /**
     * Runs the benchmarks and prints nanoseconds.
     *
     * @param args options of JMH's
     * @throws RunnerException if a benchmark fails
     * @throws CommandLineOptionException if an option is not one of JMH's
     */
    public static void main(String[] args) throws RunnerException, CommandLineOptionException {
        CommandLineOptions given = new CommandLineOptions(args);
        int cores = Runtime.getRuntime().availableProcessors();
        System.out.printf("%-14s %8s %10s %10s%n", "leases", "threads", "p50 ns", "p99 ns");
        for (int threads : cores == 1 ? new int[] {1} : new int[] {1, cores}) {
            OptionsBuilder options = new OptionsBuilder();
            options.parent(given).include(LeaseBenchmark.class.getName()).threads(threads);
            options.verbosity(VerboseMode.SILENT).shouldFailOnError(true);
            for (RunResult result : new Runner(options.build()).run()) {
                Statistics nanos = result.getPrimaryResult().getStatistics();
                System.out.printf(
                        "%-14s %8d %10.0f %10.0f%n",
                        result.getPrimaryResult().getLabel(),
                        threads,
                        nanos.getPercentile(MEDIAN),
                        nanos.getPercentile(TAIL));
            }
        }
    }
}
