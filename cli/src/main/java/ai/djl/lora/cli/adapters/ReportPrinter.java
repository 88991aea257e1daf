/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.adapters;

import ai.djl.lora.adapter.Issue;
import ai.djl.lora.adapter.LoadReport;
import ai.djl.lora.adapter.ModuleReport;
import ai.djl.lora.cli.TextTable;
import ai.djl.lora.json.Message;
import java.io.PrintWriter;
import java.util.List;
import java.util.Locale;

/** Prints what became of an adapter's parts, for people. */
final class ReportPrinter {

    private final PrintWriter out;

    /**
     * Constructs a new {@code ReportPrinter} instance.
     *
     * @param out where to
     */
    ReportPrinter(PrintWriter out) {
        this.out = out;
    }

    /**
     * Prints a fact.
     *
     * @param name what it is
     * @param value the fact
     */
    void line(String name, String value) {
        out.printf("%-14s %s%n", name, value);
    }

    /**
     * Prints a table of modules, unless there is none.
     *
     * @param modules the modules
     */
    void modules(List<ModuleReport> modules) {
        if (modules.isEmpty()) {
            return;
        }
        TextTable table = new TextTable("module", "variant", "rank", "scale", "dtype", "bytes");
        for (ModuleReport module : modules) {
            table.add(
                    Message.oneLine(module.name()),
                    module.variant(),
                    module.rank() == 0 ? "-" : String.valueOf(module.rank()),
                    module.rank() == 0 ? "-" : number(module.scale()),
                    module.dtype(),
                    String.valueOf(module.bytes()));
        }
        out.println();
        table.print(out);
        out.println();
    }

    /**
     * Prints what was ignored, what is missing, and every issue.
     *
     * @param report the report
     */
    void findings(LoadReport report) {
        report.ignored().forEach(name -> line("ignored", Message.oneLine(name)));
        report.missing().forEach(name -> line("missing", Message.oneLine(name)));
        for (Issue issue : report.issues()) {
            line(
                    issue.severity().name().toLowerCase(Locale.ROOT),
                    issue.message() + " [" + issue.code() + ']');
        }
    }

    /**
     * Returns a number with the digits of a float.
     *
     * @param value the number
     * @return its text
     */
    static String number(double value) {
        if (value == Math.rint(value) && Math.abs(value) < 1e9) {
            return String.valueOf((long) value);
        }
        return String.valueOf((float) value);
    }
}
