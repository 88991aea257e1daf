/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/**
 * Curves over an axis, as SVG. Libraries that draw charts need java.desktop's fonts, which servers'
 * Java often lacks.
 *
 * @param title what is above it
 * @param across the axis below
 * @param up the axis at the left
 * @param mark a value whose line is darker than others', such as a limit
 * @param curves the curves
 */
record LineChart(
        String title, ChartAxis across, ChartAxis up, double mark, List<LineChart.Curve> curves) {

    private static final int WIDTH = 720;
    private static final int HEIGHT = 420;
    private static final int LEFT = 60;
    private static final int BOTTOM = 50;
    private static final int TOP = 40;
    private static final int RIGHT = 150;
    private static final int LETTERS = 14;

    /**
     * A curve.
     *
     * @param name what is written behind its last point
     * @param colour its colour, as SVG names them
     * @param dashed whether it is dashed
     * @param points its points, from left to right
     */
    record Curve(String name, String colour, boolean dashed, List<Point> points) {}

    /**
     * A point of a curve.
     *
     * @param x the value across
     * @param y the value up
     */
    record Point(double x, double y) {}

    /** Returns a document with charts, one below the other. */
    static String svg(List<LineChart> charts) {
        StringBuilder svg = new StringBuilder();
        svg.append(
                format(
                        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\""
                                + " font-family=\"sans-serif\" font-size=\"13\">%n"
                                + "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>%n",
                        WIDTH, HEIGHT * charts.size()));
        for (int i = 0; i < charts.size(); ++i) {
            svg.append(format("<g transform=\"translate(0 %d)\">%n", i * HEIGHT));
            charts.get(i).draw(svg);
            svg.append(format("</g>%n"));
        }
        return svg.append(format("</svg>%n")).toString();
    }

    private void draw(StringBuilder svg) {
        text(svg, WIDTH / 2.0, 22, "middle", "black", title);
        for (double tick : up.ticks()) {
            line(svg, LEFT, y(tick), WIDTH - RIGHT, y(tick), tick == mark ? "#555" : "#ddd");
            text(svg, LEFT - 8, y(tick) + 4, "end", "black", number(tick));
        }
        for (double tick : across.ticks()) {
            line(svg, x(tick), HEIGHT - BOTTOM, x(tick), HEIGHT - BOTTOM + 4, "#555");
            text(svg, x(tick), HEIGHT - BOTTOM + 20, "middle", "black", number(tick));
        }
        text(svg, (LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 10, "middle", "black", across.label());
        text(svg, LEFT - 40, TOP - 8, "start", "black", up.label());
        List<Curve> fromTop =
                curves.stream().sorted(Comparator.comparingDouble(this::end)).toList();
        for (Curve curve : fromTop) {
            drawLine(svg, curve);
        }
        // names of curves that end close together are moved apart
        double lowest = TOP - LETTERS;
        for (Curve curve : fromTop) {
            lowest = Math.max(end(curve) + 4, lowest + LETTERS);
            double beside = x(curve.points().get(curve.points().size() - 1).x()) + 8;
            text(svg, beside, lowest, "start", curve.colour(), curve.name());
        }
    }

    private double end(Curve curve) {
        return y(curve.points().get(curve.points().size() - 1).y());
    }

    private void drawLine(StringBuilder svg, Curve curve) {
        String path =
                curve.points().stream()
                        .map(point -> format("%.1f,%.1f", x(point.x()), y(point.y())))
                        .collect(Collectors.joining(" "));
        svg.append(
                format(
                        "<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"%s/>%n",
                        path, curve.colour(), curve.dashed() ? " stroke-dasharray=\"6 4\"" : ""));
    }

    private double x(double value) {
        return LEFT + across.at(value) * (WIDTH - LEFT - RIGHT);
    }

    private double y(double value) {
        return HEIGHT - BOTTOM - up.at(value) * (HEIGHT - BOTTOM - TOP);
    }

    /* As short as it can be: 0.2 and 1, not 0.20000000000000001 and 1.0. */
    private static String number(double value) {
        return BigDecimal.valueOf(value)
                .setScale(3, RoundingMode.HALF_UP)
                .stripTrailingZeros()
                .toPlainString();
    }

    private static void line(
            StringBuilder svg, double x1, double y1, double x2, double y2, String colour) {
        svg.append(
                format(
                        "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>%n",
                        x1, y1, x2, y2, colour));
    }

    private static void text(
            StringBuilder svg, double x, double y, String anchor, String colour, String text) {
        svg.append(
                format(
                        "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" fill=\"%s\">%s</text>%n",
                        x, y, anchor, colour, text));
    }

    private static String format(String pattern, Object... values) {
        return String.format(Locale.ROOT, pattern, values);
    }
}
