/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import java.util.Locale;
import java.util.Map;

/**
 * A report as a page that needs nothing else: a table of its numbers, and its charts. It is XML as
 * well as HTML, so that programs can read it.
 */
final class HtmlReport {

    private HtmlReport() {}

    /**
     * Writes a page.
     *
     * @param title what is above it
     * @param report the numbers
     * @param svg the charts
     * @return the page
     */
    static String page(String title, Map<String, Object> report, String svg) {
        StringBuilder html = new StringBuilder();
        html.append("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/><title>")
                .append(Svg.escaped(title))
                .append(
                        "</title>\n"
                                + "<style>body{font:14px/1.4 sans-serif;max-width:60rem;margin:2rem"
                                + " auto;")
                .append(
                        "padding:0 1rem}table{border-collapse:collapse}td,th{border:1px solid"
                                + " #ccc;")
                .append("padding:.2rem .6rem;text-align:left;vertical-align:top}svg{width:100%}")
                .append("td.n{text-align:right;font-variant-numeric:tabular-nums}</style>")
                .append("</head><body>\n<h1>")
                .append(Svg.escaped(title))
                .append("</h1>\n");
        rows(html, report);
        if (report.get("by_adapter") instanceof Map<?, ?> adapters) {
            html.append("<h2>Adapters</h2>\n");
            comparison(html, adapters);
        }
        html.append("<h2>Charts</h2>\n").append(svg).append("</body></html>\n");
        return html.toString();
    }

    private static void rows(StringBuilder html, Map<?, ?> report) {
        html.append("<table>\n");
        report.forEach(
                (name, value) -> {
                    if (value instanceof Map<?, ?> several && !"by_adapter".equals(name)) {
                        several.forEach((key, one) -> row(html, name + "." + key, one));
                    } else if (!(value instanceof Iterable<?>) && !(value instanceof Map<?, ?>)) {
                        row(html, name.toString(), value);
                    }
                });
        html.append("</table>\n");
    }

    private static void row(StringBuilder html, String name, Object value) {
        html.append("<tr><th>").append(Svg.escaped(name)).append("</th>");
        cell(html, value);
        html.append("</tr>\n");
    }

    private static void cell(StringBuilder html, Object value) {
        boolean number = value instanceof Number;
        html.append(number ? "<td class=\"n\">" : "<td>").append(shown(value)).append("</td>");
    }

    private static String shown(Object value) {
        if (value == null) {
            return "";
        }
        return value instanceof Double number
                ? String.format(Locale.ROOT, "%.3f", number)
                : Svg.escaped(value.toString());
    }

    private static void comparison(StringBuilder html, Map<?, ?> adapters) {
        html.append("<table><tr><th>adapter</th><th>requests</th><th>failures</th>")
                .append("<th>tokens/s</th><th>first token p50, ms</th><th>p99</th>")
                .append("<th>whole p50, ms</th><th>p99</th><th>right</th></tr>\n");
        adapters.forEach(
                (name, value) -> {
                    Map<?, ?> one = (Map<?, ?>) value;
                    html.append("<tr><th>").append(Svg.escaped(name.toString())).append("</th>");
                    cell(html, one.get("requests"));
                    cell(html, one.get("failures"));
                    cell(html, one.get("tokens_per_second"));
                    cell(html, within(one, "ttft_ms", "p50"));
                    cell(html, within(one, "ttft_ms", "p99"));
                    cell(html, within(one, "latency_ms", "p50"));
                    cell(html, within(one, "latency_ms", "p99"));
                    cell(html, one.get("right_share"));
                    html.append("</tr>\n");
                });
        html.append("</table>\n");
    }

    private static Object within(Map<?, ?> map, String name, String key) {
        return map.get(name) instanceof Map<?, ?> inner ? inner.get(key) : null;
    }
}
