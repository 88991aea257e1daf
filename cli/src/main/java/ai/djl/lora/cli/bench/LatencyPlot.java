/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Draws the times that users see over the rate of requests, as SVG. */
final class LatencyPlot {

    private LatencyPlot() {}

    /**
     * Returns the drawing.
     *
     * @param rows what {@link LatencyBench} measured, by ascending rates
     * @return an SVG document
     */
    static String draw(List<Map<String, Object>> rows) {
        return LineChart.svg(
                List.of(
                        chart("Time to first token", "ttft_ms", rows),
                        chart("Time per output token", "tpot_ms", rows),
                        chart("Time of a whole request", "latency_ms", rows)));
    }

    private static LineChart chart(String title, String key, List<Map<String, Object>> rows) {
        List<LineChart.Curve> curves = new ArrayList<>();
        for (String percentile : List.of("p50", "p99")) {
            boolean dashed = percentile.equals("p99");
            List<LineChart.Point> adapters = new ArrayList<>();
            List<LineChart.Point> base = new ArrayList<>();
            for (Map<String, Object> row : rows) {
                double rate = (Double) row.get("requests_per_second");
                adapters.add(new LineChart.Point(rate, value(row, key, percentile)));
                Map<?, ?> alone = (Map<?, ?>) row.get("base");
                base.add(new LineChart.Point(rate, value(alone, key, percentile)));
            }
            curves.add(new LineChart.Curve("adapters, " + percentile, "#d1480f", dashed, adapters));
            curves.add(new LineChart.Curve("base, " + percentile, "#1f6feb", dashed, base));
        }
        double least = Double.MAX_VALUE;
        double most = 0;
        for (LineChart.Curve curve : curves) {
            for (LineChart.Point point : curve.points()) {
                least = Math.min(least, point.y());
                most = Math.max(most, point.y());
            }
        }
        double fastest = (Double) rows.get(rows.size() - 1).get("requests_per_second");
        return new LineChart(
                title,
                ChartAxis.fromZero("requests a second", fastest),
                ChartAxis.powers("milliseconds", 10, least, most),
                Double.NaN,
                curves);
    }

    private static double value(Map<?, ?> row, String key, String percentile) {
        return (Double) ((Map<?, ?>) row.get(key)).get(percentile);
    }
}
