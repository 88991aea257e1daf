/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import ai.djl.lora.cli.adapters.AdaptersCommand;
import ai.djl.lora.cli.bench.BenchCommand;
import ai.djl.lora.cli.bench.PlanCommand;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/** The djl-lora command line. */
@Command(
        name = "djl-lora",
        mixinStandardHelpOptions = true,
        versionProvider = ManifestVersion.class,
        description = "Many LoRA adapters over one base model, mixed freely in one batch.",
        subcommands = {
            DemoCommand.class,
            GenerateCommand.class,
            ServeCommand.class,
            VerifyCommand.class,
            DoctorCommand.class,
            PlanCommand.class,
            BenchCommand.class,
            AdaptersCommand.class,
            ConfigCommand.class,
            HealthCommand.class,
            MetricsCommand.class,
            CompletionCommand.class
        },
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {
            " 0:done",
            " 1:verify found differences beyond the tolerance, demo a wrong answer, adapters diff"
                    + " two adapters that differ, plan that a step does not fit, or health a server"
                    + " that is not healthy",
            " 2:bad input: a file, an adapter, a prompt or an option; one line on stderr says which",
            " 3:adapters validate found an adapter that fits in part",
            " 4:adapters validate found an adapter that does not fit",
            "70:an unexpected failure"
        },
        footerHeading = "%n",
        footer = "'djl-lora COMMAND --help' tells more of a command.")
public final class DjlLora implements Runnable {

    /** The exit code of a check that did not hold. */
    static final int EXIT_DIFFERS = 1;

    /** The exit code of bad input. */
    static final int EXIT_BAD_INPUT = 2;

    /** The exit code of an unexpected failure, as sysexits.h has it (EX_SOFTWARE). */
    static final int EXIT_UNEXPECTED = 70;

    @Spec private CommandSpec spec;

    @Option(
            names = "--stacktrace",
            scope = ScopeType.INHERIT,
            description = "On failure, print where it happened as well.")
    private boolean stackTrace;

    /**
     * Runs the command line and ends the JVM with its exit code.
     *
     * @param args the arguments
     */
    public static void main(String[] args) {
        // UTF-8 whatever the locale is, since JSON has no other encoding.
        int exitCode;
        try (PrintWriter out = utf8(FileDescriptor.out);
                PrintWriter err = utf8(FileDescriptor.err)) {
            exitCode = run(out, err, args);
        }
        System.exit(exitCode);
    }

    /**
     * Runs the command line.
     *
     * @param out where results go
     * @param err where messages go
     * @param args the arguments
     * @return the exit code
     */
    public static int run(PrintWriter out, PrintWriter err, String... args) {
        DjlLora root = new DjlLora();
        CommandLine line = root.commandLine().setOut(out).setErr(err);
        try {
            return line.execute(args);
        } catch (OutOfMemoryError | StackOverflowError | LinkageError e) {
            return new FailureHandler(root::isStackTrace).report(e, line);
        } finally {
            out.flush();
            err.flush();
        }
    }

    /**
     * Returns the command line's parser, as the tests of its documentation use it too.
     *
     * @return the parser
     */
    CommandLine commandLine() {
        FailureHandler failures = new FailureHandler(this::isStackTrace);
        return new CommandLine(this)
                .setExecutionExceptionHandler(failures)
                .setParameterExceptionHandler(failures)
                .setCaseInsensitiveEnumValuesAllowed(false)
                .setAbbreviatedOptionsAllowed(false)
                .setColorScheme(CommandLine.Help.defaultColorScheme(CommandLine.Help.Ansi.OFF));
    }

    /** Refuses a call without a command. */
    @Override
    public void run() {
        throw new ParameterException(
                spec.commandLine(),
                "Missing command; expected one of "
                        + String.join(", ", spec.subcommands().keySet()));
    }

    private boolean isStackTrace() {
        return stackTrace;
    }

    private static PrintWriter utf8(FileDescriptor descriptor) {
        return new PrintWriter(
                new OutputStreamWriter(new FileOutputStream(descriptor), StandardCharsets.UTF_8),
                true);
    }
}
