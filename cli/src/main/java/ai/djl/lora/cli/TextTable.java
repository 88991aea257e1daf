/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;

/** A table of text whose columns are as wide as their widest cell. */
public final class TextTable {

    private final List<String[]> rows = new ArrayList<>();

    /**
     * Constructs a new {@code TextTable} instance.
     *
     * @param header the names of the columns
     */
    public TextTable(String... header) {
        rows.add(header);
    }

    /**
     * Adds a row.
     *
     * @param cells a cell for each column
     */
    public void add(String... cells) {
        if (cells.length != rows.get(0).length) {
            throw new IllegalArgumentException(
                    cells.length + " cells for " + rows.get(0).length + " columns");
        }
        rows.add(cells);
    }

    /**
     * Prints the table.
     *
     * @param out where to
     */
    public void print(PrintWriter out) {
        int[] widths = new int[rows.get(0).length];
        for (String[] row : rows) {
            for (int i = 0; i < row.length; ++i) {
                widths[i] = Math.max(widths[i], row[i].length());
            }
        }
        for (int r = 0; r < rows.size(); ++r) {
            out.println(line(rows.get(r), widths));
            if (r == 0) {
                String[] rule = new String[widths.length];
                for (int i = 0; i < widths.length; ++i) {
                    rule[i] = "-".repeat(widths[i]);
                }
                out.println(line(rule, widths));
            }
        }
    }

    private static String line(String[] cells, int[] widths) {
        StringBuilder line = new StringBuilder();
        for (int i = 0; i < cells.length; ++i) {
            line.append(i == 0 ? "" : "  ").append(cells[i]);
            line.append(" ".repeat(widths[i] - cells[i].length()));
        }
        return line.toString().stripTrailing();
    }
}
