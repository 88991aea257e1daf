/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import java.util.List;

/** Draws the share of the machine's limit over the number of rows, as SVG. */
final class SharePlot {

    private static final int MOST_ROWS = 512;
    private static final double HIGHEST = 1.4;

    private SharePlot() {}

    /**
     * Returns the drawing.
     *
     * @param rows the measured rows, of which the case "tokens" is drawn
     * @return an SVG document
     */
    static String draw(List<OperatorRow> rows) {
        LineChart chart =
                new LineChart(
                        "SGMV in bfloat16, 2048 x 2048, rank 16",
                        ChartAxis.powers("rows in the batch", 2, 1, MOST_ROWS),
                        ChartAxis.fromZero("share of the limit", HIGHEST),
                        1,
                        List.of(
                                curve(rows, "distinct", "#1f6feb", "one adapter a row"),
                                curve(rows, "identical", "#d1480f", "one adapter for all")));
        return LineChart.svg(List.of(chart));
    }

    private static LineChart.Curve curve(
            List<OperatorRow> rows, String popularity, String colour, String name) {
        List<LineChart.Point> points =
                rows.stream()
                        .filter(row -> row.name().equals("tokens"))
                        .filter(row -> row.popularity().equals(popularity))
                        .map(row -> new LineChart.Point(row.tokens(), row.shareOfLimit()))
                        .toList();
        return new LineChart.Curve(name, colour, false, points);
    }
}
