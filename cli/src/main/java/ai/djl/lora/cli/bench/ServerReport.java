/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;

/** Tells what a server did under load. */
final class ServerReport {

    private static final int MOST_WRONG = 20;
    private static final int MOST_INTERVALS = 60;

    private final ServerBench.Result result;

    /**
     * Constructs a new {@code ServerReport} instance.
     *
     * @param result what came of the run
     */
    ServerReport(ServerBench.Result result) {
        this.result = result;
    }

    /** Returns the report. */
    Map<String, Object> report() {
        Map<String, Object> report = new LinkedHashMap<>();
        report.put("seconds", result.nanos() * 1e-9);
        describe(result.answers(), report);
        Map<String, Object> adapters = new LinkedHashMap<>();
        byAdapter()
                .forEach(
                        (name, answers) -> {
                            Map<String, Object> one = new LinkedHashMap<>();
                            describe(answers, one);
                            adapters.put(name.isEmpty() ? "base" : name, one);
                        });
        report.put("by_adapter", adapters);
        report.put("timeline", timeline());
        if (!result.memory().isEmpty()) {
            report.put("memory_bytes", memory());
        }
        report.put("wrong_answers", wrong());
        return report;
    }

    Map<String, List<ServerAnswer>> byAdapter() {
        return result.answers().stream()
                .collect(
                        Collectors.groupingBy(
                                answer -> answer.prompt().adapter(),
                                TreeMap::new,
                                Collectors.toList()));
    }

    private void describe(List<ServerAnswer> answers, Map<String, Object> report) {
        List<ServerAnswer> good = answers.stream().filter(ServerAnswer::isGood).toList();
        double seconds = result.nanos() * 1e-9;
        report.put("requests", answers.size());
        report.put("failures", answers.size() - good.size());
        if (good.size() < answers.size()) {
            report.put(
                    "failures_by_reason",
                    answers.stream()
                            .flatMap(answer -> answer.failure().stream())
                            .collect(
                                    Collectors.groupingBy(
                                            reason -> reason,
                                            TreeMap::new,
                                            Collectors.counting())));
        }
        report.put("requests_per_second", good.size() / seconds);
        report.put(
                "tokens_per_second", good.stream().mapToInt(ServerAnswer::tokens).sum() / seconds);
        put(report, "ttft_ms", good, ServerAnswer::firstMillis);
        put(
                report,
                "tpot_ms",
                good.stream().filter(answer -> answer.tokens() > 1).toList(),
                ServerAnswer::perTokenMillis);
        put(report, "latency_ms", good, ServerAnswer::millis);
        long checked = good.stream().filter(a -> a.prompt().expected().isPresent()).count();
        if (checked > 0) {
            long wrong = good.stream().filter(ServerAnswer::isWrong).count();
            report.put("checked_answers", checked);
            report.put("right_answers", checked - wrong);
            report.put("right_share", (checked - wrong) / (double) checked);
        }
    }

    private static void put(
            Map<String, Object> report,
            String name,
            List<ServerAnswer> answers,
            ToDoubleFunction<ServerAnswer> value) {
        if (!answers.isEmpty()) {
            report.put(name, Percentiles.of(answers.stream().mapToDouble(value)).report());
        }
    }

    /** Returns what happened in equal parts of the run. */
    List<Map<String, Object>> timeline() {
        double seconds = result.nanos() * 1e-9;
        int parts = (int) Math.max(1, Math.min(MOST_INTERVALS, seconds));
        long part = result.nanos() / parts + 1;
        List<Map<String, Object>> timeline = new ArrayList<>();
        for (int i = 0; i < parts; ++i) {
            long from = result.begun() + i * part;
            List<ServerAnswer> ended =
                    result.answers().stream()
                            .filter(ServerAnswer::isGood)
                            .filter(
                                    answer ->
                                            (answer.begun() + answer.nanos() - from) / part == 0
                                                    && answer.begun() + answer.nanos() >= from)
                            .toList();
            Map<String, Object> row = new LinkedHashMap<>();
            row.put("second", i * part * 1e-9);
            row.put("requests_per_second", ended.size() / (part * 1e-9));
            row.put(
                    "tokens_per_second",
                    ended.stream().mapToInt(ServerAnswer::tokens).sum() / (part * 1e-9));
            put(row, "ttft_ms", ended, ServerAnswer::firstMillis);
            timeline.add(row);
        }
        return timeline;
    }

    private Map<String, Object> memory() {
        List<ServerBench.MemorySample> samples = result.memory();
        Map<String, Object> memory = new LinkedHashMap<>();
        memory.put("first", samples.get(0).bytes());
        memory.put("last", samples.get(samples.size() - 1).bytes());
        memory.put(
                "most",
                samples.stream().mapToDouble(ServerBench.MemorySample::bytes).max().orElse(0));
        return memory;
    }

    private List<Map<String, Object>> wrong() {
        return result.answers().stream()
                .filter(ServerAnswer::isWrong)
                .limit(MOST_WRONG)
                .map(
                        answer -> {
                            Map<String, Object> one = new LinkedHashMap<>();
                            one.put("adapter", answer.prompt().adapter());
                            one.put("prompt", answer.prompt().prompt());
                            one.put("expected", answer.prompt().expected().orElse(""));
                            one.put("answer", answer.text());
                            return one;
                        })
                .toList();
    }

    /** Returns the charts of the run, as SVG. */
    String charts() {
        List<LineChart> charts = new ArrayList<>();
        List<Map<String, Object>> timeline = timeline();
        charts.add(
                overTime(
                        "Tokens a second",
                        "tokens a second",
                        points(timeline, row -> (Double) row.get("tokens_per_second"))));
        List<LineChart.Point> first =
                points(
                        timeline.stream().filter(row -> row.containsKey("ttft_ms")).toList(),
                        row -> (Double) ((Map<?, ?>) row.get("ttft_ms")).get("p99"));
        if (!first.isEmpty()) {
            charts.add(overTime("Time to first token, p99", "milliseconds", first));
        }
        if (!result.memory().isEmpty()) {
            charts.add(
                    overTime(
                            "Memory of the server",
                            "MiB",
                            result.memory().stream()
                                    .map(
                                            sample ->
                                                    new LineChart.Point(
                                                            (sample.nanos() - result.begun())
                                                                    * 1e-9,
                                                            sample.bytes() / (1 << 20)))
                                    .toList()));
        }
        charts.add(percentiles());
        return LineChart.svg(charts);
    }

    private static List<LineChart.Point> points(
            List<Map<String, Object>> rows, ToDoubleFunction<Map<String, Object>> value) {
        return rows.stream()
                .map(
                        row ->
                                new LineChart.Point(
                                        (Double) row.get("second"), value.applyAsDouble(row)))
                .toList();
    }

    private static LineChart overTime(String title, String unit, List<LineChart.Point> points) {
        double last = points.get(points.size() - 1).x();
        double most = points.stream().mapToDouble(LineChart.Point::y).max().orElse(0);
        return new LineChart(
                title,
                ChartAxis.fromZero("seconds", last),
                ChartAxis.fromZero(unit, most),
                Double.NaN,
                List.of(new LineChart.Curve("", "#1f6feb", false, points)));
    }

    private LineChart percentiles() {
        List<ServerAnswer> good = result.answers().stream().filter(ServerAnswer::isGood).toList();
        List<LineChart.Curve> curves = new ArrayList<>();
        double most = 0;
        if (!good.isEmpty()) {
            Percentiles whole = Percentiles.of(good.stream().mapToDouble(ServerAnswer::millis));
            Percentiles first =
                    Percentiles.of(good.stream().mapToDouble(ServerAnswer::firstMillis));
            curves.add(new LineChart.Curve("whole answer", "#d1480f", false, curve(whole)));
            curves.add(new LineChart.Curve("first token", "#1f6feb", false, curve(first)));
            most = whole.at(1);
        }
        return new LineChart(
                "Times by share of requests",
                ChartAxis.fromZero("percent", 100),
                ChartAxis.fromZero("milliseconds", most),
                Double.NaN,
                curves);
    }

    private static List<LineChart.Point> curve(Percentiles values) {
        List<LineChart.Point> points = new ArrayList<>();
        for (int percent = 0; percent <= 100; percent += 2) {
            points.add(new LineChart.Point(percent, values.at(percent / 100.0)));
        }
        return points;
    }
}
