/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.benchmarks;

import ai.djl.lora.cli.TextTable;
import ai.djl.lora.cli.bench.Popularity;
import ai.djl.lora.jni.LoraLibrary;
import com.google.gson.GsonBuilder;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.openjdk.jmh.Main;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.CommandLineOptionException;
import org.openjdk.jmh.runner.options.CommandLineOptions;
import org.openjdk.jmh.runner.options.Options;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import picocli.CommandLine.Unmatched;

/** Runs the operator's benchmarks under JMH and prints what each reached of the machine's limit. */
@Command(
        name = "benchmarks/run.sh",
        sortOptions = false,
        customSynopsis =
                "@|bold benchmarks/run.sh|@ [--quick | --grid | lists] [--json FILE] [JMH OPTION]...",
        description = {
            "Measures the operator under JMH, each candidate and case in a JVM of its own.",
            "",
            "Without options one thing at a time is varied. What this command does not know goes"
                    + " to JMH: -p batch=2048x2048-r16-t32-zipf, -p candidate=CPU,LOOP, -p"
                    + " rotate=1280, -f, -wi, -w, -i, -r, -rf, -rff, -l; with -v NORMAL or -prof"
                    + " JMH's own report is printed as well.",
            ""
        })
public final class BenchmarkCommand implements Callable<Integer> {

    private static final String BATCH = "batch";
    private static final String CANDIDATE = "candidate";
    private static final List<String> PARAMETERS = List.of(BATCH, CANDIDATE, "rotate");

    private static final int QUICK_WARMUP = 1;
    private static final int QUICK_ITERATIONS = 3;

    @Spec private CommandSpec spec;

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "Show this help message and exit.")
    private boolean help;

    @Option(names = "--quick", description = "Three cases, in about a minute.")
    private boolean quick;

    @Option(
            names = "--grid",
            description = "Every combination of the lists, where not given of all: takes days.")
    private boolean grid;

    @Option(
            names = "--shapes",
            split = ",",
            paramLabel = "INxOUT",
            description = "Shapes to combine with the other lists, such as 2048x5632.")
    private List<String> shapes;

    @Option(
            names = "--ranks",
            split = ",",
            paramLabel = "RANK",
            description = "Ranks, or mixed for 4 to 256 in turn.")
    private List<String> ranks;

    @Option(names = "--tokens", split = ",", paramLabel = "ROWS", description = "Rows of a batch.")
    private List<Integer> tokens;

    @Option(
            names = "--popularities",
            split = ",",
            paramLabel = "NAME",
            description = "How rows choose their adapters: ${COMPLETION-CANDIDATES}.")
    private List<Popularity> popularities;

    @Option(names = "--json", paramLabel = "FILE", description = "Write the rows there as well.")
    private Path json;

    @Unmatched private List<String> jmhArguments;

    /**
     * Runs the benchmarks.
     *
     * @param args the arguments
     */
    public static void main(String[] args) {
        System.exit(commandLine().execute(args));
    }

    /** Returns the command line. */
    static CommandLine commandLine() {
        return new CommandLine(new BenchmarkCommand())
                .setCaseInsensitiveEnumValuesAllowed(true)
                .setParameterExceptionHandler(
                        (e, args) -> {
                            PrintWriter err = e.getCommandLine().getErr();
                            err.println("run.sh: " + e.getMessage() + "; --help lists the options");
                            return CommandLine.ExitCode.USAGE;
                        });
    }

    /** {@inheritDoc} */
    @Override
    public Integer call() throws IOException {
        CommandLineOptions jmh = jmhOptions();
        if (jmh.shouldList()
                || jmh.shouldListWithParams()
                || jmh.shouldListProfilers()
                || jmh.shouldListResultFormats()) {
            Main.main(jmhArguments.toArray(new String[0]));
            return 0;
        }
        if (!LoraLibrary.isAvailable()) {
            spec.commandLine().getErr().println(LoraLibrary.unavailableReason());
            return 1;
        }
        Options options = options(jmh);
        try {
            report(runner(jmh, options).run().stream().map(ResultRow::of).toList());
        } catch (RunnerException e) {
            e.printStackTrace(spec.commandLine().getErr());
            return 1;
        }
        return 0;
    }

    private Options options(CommandLineOptions jmh) {
        ChainedOptionsBuilder options = new OptionsBuilder().parent(jmh).shouldFailOnError(true);
        if (quick) {
            options.warmupIterations(jmh.getWarmupIterations().orElse(QUICK_WARMUP));
            options.measurementIterations(jmh.getMeasurementIterations().orElse(QUICK_ITERATIONS));
        }
        if (jmh.getIncludes().isEmpty()) {
            options.include(OperatorBenchmark.class.getName());
        }
        if (jmh.getParameter(BATCH).hasValue()) {
            if (quick || hasLists()) {
                throw new ParameterException(
                        spec.commandLine(),
                        "-p batch names the cases; leave out the lists of them");
            }
            checkNames(jmh.getParameter(BATCH).get());
        } else {
            options.param(BATCH, checkNames(cases()).toArray(new String[0]));
        }
        List<String> candidates = Stream.of(Candidate.values()).map(Candidate::name).toList();
        if (jmh.getParameter(CANDIDATE).hasValue()) {
            for (String candidate : jmh.getParameter(CANDIDATE).get()) {
                if (!candidates.contains(candidate)) {
                    throw new ParameterException(
                            spec.commandLine(),
                            "\"" + candidate + "\" is not a candidate; there are " + candidates);
                }
            }
        } else {
            options.param(
                    CANDIDATE,
                    candidates.stream()
                            .filter(name -> !quick || !name.equals(Candidate.CPU_FLOAT32.name()))
                            .toArray(String[]::new));
        }
        return options.build();
    }

    private Runner runner(CommandLineOptions jmh, Options options) {
        if (jmh.verbosity().hasValue() || !jmh.getProfilers().isEmpty()) {
            return new Runner(options);
        }
        int measurements = 1;
        for (String parameter : PARAMETERS) {
            measurements *= options.getParameter(parameter).orElse(List.of("")).size();
        }
        return new Runner(options, new ProgressFormat(spec.commandLine().getErr(), measurements));
    }

    private CommandLineOptions jmhOptions() {
        if (jmhArguments == null) {
            jmhArguments = List.of();
        }
        for (int i = 1; i < jmhArguments.size(); ++i) {
            String name = jmhArguments.get(i).replaceFirst("=.*", "");
            if (jmhArguments.get(i - 1).equals("-p") && !PARAMETERS.contains(name)) {
                throw new ParameterException(
                        spec.commandLine(),
                        "\"" + name + "\" is not a parameter; there are " + PARAMETERS);
            }
        }
        CommandLineOptions options;
        try {
            options = new CommandLineOptions(jmhArguments.toArray(new String[0]));
        } catch (CommandLineOptionException e) {
            throw new ParameterException(spec.commandLine(), e.getMessage(), e);
        }
        if (!options.getBenchModes().isEmpty()
                || options.getTimeUnit().hasValue()
                || options.getThreads().hasValue()) {
            throw new ParameterException(
                    spec.commandLine(),
                    "-bm, -tu and -t cannot be changed: the table is of one caller's average times"
                            + " in microseconds");
        }
        return options;
    }

    private boolean hasLists() {
        return grid || shapes != null || ranks != null || tokens != null || popularities != null;
    }

    private List<String> cases() {
        if (quick && hasLists()) {
            throw new ParameterException(
                    spec.commandLine(), "--quick has cases of its own; leave out the other lists");
        }
        if (quick) {
            return CaseList.quick();
        }
        if (!hasLists()) {
            return CaseList.sweeps();
        }
        return CaseList.product(
                given(shapes, CaseList.SHAPES, "2048x2048"),
                given(ranks, CaseList.RANKS, "16"),
                given(tokens, CaseList.TOKENS, 32),
                given(popularities, CaseList.POPULARITIES, Popularity.DISTINCT));
    }

    private <T> List<T> given(List<T> values, List<T> all, T usual) {
        if (values != null) {
            return values;
        }
        return grid ? all : List.of(usual);
    }

    /* A name that only the forked JVM refuses would be a stack trace in the midst of JMH's output. */
    private Collection<String> checkNames(Collection<String> names) {
        try {
            names.forEach(CaseName::parse);
        } catch (IllegalArgumentException e) {
            throw new ParameterException(spec.commandLine(), e.getMessage(), e);
        }
        return names;
    }

    private void report(List<ResultRow> rows) throws IOException {
        if (json != null) {
            Files.writeString(json, new GsonBuilder().setPrettyPrinting().create().toJson(rows));
        }
        TextTable table =
                new TextTable(
                        "candidate",
                        "type",
                        "in x out",
                        "rank",
                        "rows",
                        "adapters",
                        "microseconds",
                        "spread",
                        "MB",
                        "MFLOP",
                        "read GB/s",
                        "GFLOP/s",
                        "share of limit");
        for (ResultRow row : rows) {
            table.add(
                    row.candidate(),
                    row.type(),
                    row.in() + " x " + row.out(),
                    row.rank(),
                    String.valueOf(row.tokens()),
                    row.popularity() + " of " + row.adapters(),
                    number("%.1f", row.micros()),
                    number("%.0f %%", row.spread() * 100),
                    number("%.3f", row.bytes() * 1e-6),
                    number("%.2f", row.operations() * 1e-6),
                    number("%.1f", row.readGbPerSecond()),
                    number("%.0f", row.gflopsPerSecond()),
                    number("%.2f", row.shareOfLimit()));
        }
        PrintWriter out = spec.commandLine().getOut();
        out.println();
        table.print(out);
        out.flush();
    }

    private static String number(String format, double value) {
        return String.format(Locale.ROOT, format, value);
    }
}
