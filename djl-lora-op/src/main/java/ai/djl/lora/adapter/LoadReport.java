/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import ai.djl.lora.json.Message;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;

/**
 * What became of each part of an adapter when it was laid beside a model.
 *
 * @param source the adapter's directory
 * @param applied the modules that the adapter changes, in the model's order; of a refused adapter,
 *     those whose tensors fit
 * @param ignored entries of {@code target_modules} that stand for no module of the model; PEFT
 *     passes over them as well
 * @param missing modules that {@code target_modules} names and that no tensor came for
 * @param errors what else forbids the use of the adapter, one line each
 * @param warnings what is unusual and does not forbid it, one line each
 */
public record LoadReport(
        Path source,
        List<String> applied,
        List<String> ignored,
        List<String> missing,
        List<String> errors,
        List<String> warnings) {

    private static final int SHOWN = 3;

    /**
     * Constructs a new {@code LoadReport} instance with lists of its own.
     *
     * @param source the adapter's directory
     * @param applied the modules that the adapter changes
     * @param ignored the entries of {@code target_modules} without a module
     * @param missing the modules without tensors
     * @param errors what forbids the use of the adapter
     * @param warnings what is unusual
     */
    public LoadReport {
        applied = List.copyOf(applied);
        ignored = List.copyOf(ignored);
        missing = List.copyOf(missing);
        errors = List.copyOf(errors);
        warnings = List.copyOf(warnings);
    }

    /**
     * Returns whether the adapter may be used.
     *
     * @return whether it changes at least one module and nothing is missing or wrong
     */
    public boolean isAccepted() {
        return errors.isEmpty() && missing.isEmpty() && !applied.isEmpty();
    }

    /**
     * Returns the report on one line, with at most a handful of names of each kind.
     *
     * @return the summary
     */
    @Override
    public String toString() {
        StringBuilder line = new StringBuilder(Message.oneLine(source.toString()));
        line.append(isAccepted() ? ": accepted" : ": refused");
        append(line, "errors", errors, "; ");
        append(line, "missing", missing, ", ");
        line.append(", applied to ").append(applied.size()).append(" modules");
        append(line, "ignored", ignored, ", ");
        append(line, "warnings", warnings, "; ");
        return line.toString();
    }

    private static void append(
            StringBuilder line, String kind, List<String> entries, String separator) {
        if (entries.isEmpty()) {
            return;
        }
        line.append(", ").append(entries.size()).append(' ').append(kind).append(" (");
        line.append(
                entries.stream()
                        .limit(SHOWN)
                        .map(Message::oneLine)
                        .collect(Collectors.joining(separator)));
        if (entries.size() > SHOWN) {
            line.append(separator).append("and ").append(entries.size() - SHOWN).append(" more");
        }
        line.append(')');
    }
}
