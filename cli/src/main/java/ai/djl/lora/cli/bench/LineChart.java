/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.Comparator;
import java.util.List;

/**
 * Curves over an axis.
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
        Svg svg = new Svg(WIDTH, HEIGHT * charts.size(), "sans-serif", 13);
        for (int i = 0; i < charts.size(); ++i) {
            svg.beginGroup(0, i * HEIGHT);
            charts.get(i).draw(svg);
            svg.endGroup();
        }
        return svg.end();
    }

    private void draw(Svg svg) {
        svg.text(WIDTH / 2.0, 22, "middle", "black", title);
        for (double tick : up.ticks()) {
            svg.line(LEFT, y(tick), WIDTH - RIGHT, y(tick), tick == mark ? "#555" : "#ddd");
            svg.text(LEFT - 8, y(tick) + 4, "end", "black", number(tick));
        }
        for (double tick : across.ticks()) {
            svg.line(x(tick), HEIGHT - BOTTOM, x(tick), HEIGHT - BOTTOM + 4, "#555");
            svg.text(x(tick), HEIGHT - BOTTOM + 20, "middle", "black", number(tick));
        }
        svg.text((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 10, "middle", "black", across.label());
        svg.text(LEFT - 40, TOP - 8, "start", "black", up.label());
        List<Curve> fromTop =
                curves.stream().sorted(Comparator.comparingDouble(this::end)).toList();
        for (Curve curve : fromTop) {
            svg.polyline(
                    curve.points().stream()
                            .map(point -> new Svg.Place(x(point.x()), y(point.y())))
                            .toList(),
                    curve.colour(),
                    curve.dashed());
        }
        // names of curves that end close together are moved apart
        double lowest = TOP - LETTERS;
        for (Curve curve : fromTop) {
            lowest = Math.max(end(curve) + 4, lowest + LETTERS);
            double beside = x(curve.points().get(curve.points().size() - 1).x()) + 8;
            svg.text(beside, lowest, "start", curve.colour(), curve.name());
        }
    }

    private double end(Curve curve) {
        return y(curve.points().get(curve.points().size() - 1).y());
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
}
