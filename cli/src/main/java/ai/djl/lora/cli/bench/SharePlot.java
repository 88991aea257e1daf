/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/** Draws the share of the machine's limit over the number of rows, as SVG. */
final class SharePlot {

    private static final int WIDTH = 720;
    private static final int HEIGHT = 420;
    private static final int LEFT = 60;
    private static final int BOTTOM = 50;
    private static final int TOP = 40;
    private static final int RIGHT = 150;
    private static final int MOST_DOUBLINGS = 9;
    private static final double HIGHEST = 1.4;

    private SharePlot() {}

    /**
     * Returns the drawing.
     *
     * @param rows the measured rows, of which the case "tokens" is drawn
     * @return an SVG document
     */
    static String draw(List<OperatorRow> rows) {
        StringBuilder svg = new StringBuilder();
        svg.append(
                String.format(
                        Locale.ROOT,
                        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\""
                                + " font-family=\"sans-serif\" font-size=\"13\">%n"
                                + "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>%n",
                        WIDTH,
                        HEIGHT));
        text(svg, WIDTH / 2.0, 22, "middle", "SGMV in bfloat16, 2048 x 2048, rank 16");
        for (int i = 0; i <= 7; ++i) {
            double share = i * 0.2;
            line(svg, x(1), y(share), x(1 << MOST_DOUBLINGS), y(share), i == 5 ? "#555" : "#ddd");
            text(svg, LEFT - 8, y(share) + 4, "end", String.format(Locale.ROOT, "%.1f", share));
        }
        for (int i = 0; i <= MOST_DOUBLINGS; ++i) {
            text(svg, x(1 << i), HEIGHT - BOTTOM + 20, "middle", String.valueOf(1 << i));
        }
        text(svg, (LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 10, "middle", "rows in the batch");
        text(svg, LEFT - 40, TOP - 8, "start", "share of the limit");
        curve(svg, rows, "distinct", "#1f6feb", "one adapter a row");
        curve(svg, rows, "identical", "#d1480f", "one adapter for all");
        return svg.append("</svg>\n").toString();
    }

    private static void curve(
            StringBuilder svg,
            List<OperatorRow> rows,
            String popularity,
            String colour,
            String name) {
        List<OperatorRow> points =
                rows.stream()
                        .filter(row -> row.name().equals("tokens"))
                        .filter(row -> row.popularity().equals(popularity))
                        .toList();
        String path =
                points.stream()
                        .map(
                                row ->
                                        String.format(
                                                Locale.ROOT,
                                                "%.1f,%.1f",
                                                x(row.tokens()),
                                                y(row.shareOfLimit())))
                        .collect(Collectors.joining(" "));
        svg.append(
                String.format(
                        "<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"/>%n",
                        path, colour));
        OperatorRow last = points.get(points.size() - 1);
        double labelY = y(last.shareOfLimit()) + 4;
        svg.append(
                String.format(
                        Locale.ROOT,
                        "<text x=\"%.1f\" y=\"%.1f\" fill=\"%s\">%s</text>%n",
                        x(last.tokens()) + 8,
                        labelY,
                        colour,
                        name));
    }

    private static double x(int tokens) {
        double doublings = Math.log(tokens) / Math.log(2);
        return LEFT + doublings / MOST_DOUBLINGS * (WIDTH - LEFT - RIGHT);
    }

    private static double y(double share) {
        double height = Math.min(share, HIGHEST) / HIGHEST;
        return HEIGHT - BOTTOM - height * (HEIGHT - BOTTOM - TOP);
    }

    private static void line(
            StringBuilder svg, double x1, double y1, double x2, double y2, String colour) {
        svg.append(
                String.format(
                        Locale.ROOT,
                        "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>%n",
                        x1,
                        y1,
                        x2,
                        y2,
                        colour));
    }

    private static void text(StringBuilder svg, double x, double y, String anchor, String text) {
        svg.append(
                String.format(
                        Locale.ROOT,
                        "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>%n",
                        x,
                        y,
                        anchor,
                        text));
    }
}
