/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import ai.djl.ModelException;
import ai.djl.lora.LoraException;
import ai.djl.translate.TranslateException;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.util.function.BooleanSupplier;
import picocli.CommandLine;
import picocli.CommandLine.IExecutionExceptionHandler;
import picocli.CommandLine.IParameterExceptionHandler;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;

/** Turns a failure into one line on stderr and an exit code. */
final class FailureHandler implements IExecutionExceptionHandler, IParameterExceptionHandler {

    private final BooleanSupplier stackTrace;

    /**
     * Constructs a new {@code FailureHandler} instance.
     *
     * @param stackTrace whether to print where a failure happened as well
     */
    FailureHandler(BooleanSupplier stackTrace) {
        this.stackTrace = stackTrace;
    }

    /** {@inheritDoc} */
    @Override
    public int handleParseException(ParameterException e, String[] args) {
        CommandLine line = e.getCommandLine();
        String command = line.getCommandSpec().qualifiedName();
        line.getErr()
                .println(
                        "djl-lora: " + oneLine(e.getMessage()) + " (see '" + command + " --help')");
        return DjlLora.EXIT_BAD_INPUT;
    }

    /** {@inheritDoc} */
    @Override
    public int handleExecutionException(Exception e, CommandLine line, ParseResult parsed) {
        return report(e, line);
    }

    /**
     * Prints the line of a failure.
     *
     * @param failure the failure
     * @param line the command line whose stderr to use
     * @return the exit code
     */
    int report(Throwable failure, CommandLine line) {
        String message = badInput(failure);
        int exitCode = DjlLora.EXIT_BAD_INPUT;
        if (message == null) {
            exitCode = DjlLora.EXIT_UNEXPECTED;
            message = "unexpected failure: " + failure;
            if (!stackTrace.getAsBoolean()) {
                message += " (run again with --stacktrace to see where)";
            }
        }
        line.getErr().println("djl-lora: " + oneLine(message));
        if (stackTrace.getAsBoolean()) {
            failure.printStackTrace(line.getErr());
        }
        return exitCode;
    }

    /**
     * Returns what to say of a failure that the user's input caused.
     *
     * @param failure the failure
     * @return the message, or null if the input is not to blame
     */
    private static String badInput(Throwable failure) {
        // DJL's own types carry our failures as their causes, and the cause says more.
        for (Throwable t = failure; t != null; t = t.getCause()) {
            if (t instanceof LoraException) {
                return t.getMessage();
            }
        }
        for (Throwable t = failure; t != null; t = t.getCause()) {
            if (t instanceof FileSystemException) {
                return fileMessage((FileSystemException) t);
            }
        }
        if (failure instanceof ModelException
                || failure instanceof TranslateException
                || failure instanceof IOException) {
            return failure.getMessage();
        }
        return null;
    }

    private static String fileMessage(FileSystemException e) {
        if (e instanceof NoSuchFileException) {
            return e.getFile() + ": no such file";
        }
        if (e instanceof AccessDeniedException) {
            return e.getFile() + ": permission denied";
        }
        return e.getMessage();
    }

    private static String oneLine(String message) {
        return message.strip().replaceAll("\\s*\\R\\s*", "; ");
    }
}
