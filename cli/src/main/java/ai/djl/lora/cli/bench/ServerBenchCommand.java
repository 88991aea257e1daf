/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import ai.djl.lora.LoraConfigurationException;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Measures a running server. */
@Command(
        name = "server",
        mixinStandardHelpOptions = true,
        description = {
            "Measures a running server: times, throughput, memory and the answers' quality.",
            "",
            "Connections send one request after the other, streamed, over the adapters in turns."
                    + " With --golden each answer is compared with the right one. Any server with"
                    + " OpenAI's routes can be measured; memory is read from /metrics/prometheus,"
                    + " where there is one.",
            ""
        },
        footer = {"The exit code is 1 where a request failed or an answer was wrong.", ""})
final class ServerBenchCommand implements Callable<Integer> {

    private static final int EXIT_FAILURES = 1;

    @Spec private CommandSpec spec;

    @Option(
            names = "--url",
            paramLabel = "URL",
            defaultValue = "http://127.0.0.1:8080",
            description = "The server (default: ${DEFAULT-VALUE}).")
    private String url;

    @Option(
            names = "--key",
            paramLabel = "KEY",
            defaultValue = "${env:DJL_LORA_API_KEY}",
            description = "An API key (default: the environment's DJL_LORA_API_KEY).")
    private String key;

    @Option(
            names = "--adapters",
            paramLabel = "NAME",
            split = ",",
            description =
                    "The adapters to use, \"\" for the base model (default: all that the server"
                            + " has, and the base model).")
    private List<String> adapters;

    @Option(
            names = "--prompt",
            paramLabel = "TEXT",
            defaultValue = "Once upon a time",
            description = "What is asked (default: \"${DEFAULT-VALUE}\").")
    private String prompt;

    @Option(
            names = "--golden",
            paramLabel = "FILE",
            description =
                    "Ask what is in a file instead, one object with adapter, prompt and expected a"
                            + " line, and compare the answers.")
    private Path golden;

    @Option(
            names = "--connections",
            paramLabel = "N",
            defaultValue = "16",
            description = "How many requests there are at a time (default: ${DEFAULT-VALUE}).")
    private int connections;

    @Option(
            names = "--requests",
            paramLabel = "N",
            defaultValue = "200",
            description = "How many requests there are (default: ${DEFAULT-VALUE}).")
    private int requests;

    @Option(
            names = "--duration",
            paramLabel = "SECONDS",
            description = "Go on for a time instead of a number of requests.")
    private Integer duration;

    @Option(
            names = "--max-new-tokens",
            paramLabel = "N",
            defaultValue = "64",
            description = "The most tokens of an answer (default: ${DEFAULT-VALUE}).")
    private int maxTokens;

    @Option(
            names = "--html",
            paramLabel = "FILE",
            description = "Write a page with the numbers and charts.")
    private Path html;

    @Option(names = "--json", description = "Print one JSON object.")
    private boolean json;

    /** {@inheritDoc} */
    @Override
    public Integer call() throws IOException, InterruptedException {
        BenchModelOptions.positive("--connections", connections);
        BenchModelOptions.positive("--requests", requests);
        BenchModelOptions.positive("--max-new-tokens", maxTokens);
        if (duration != null) {
            BenchModelOptions.positive("--duration", duration);
        }
        ServerClient client = new ServerClient(url, key == null || key.isEmpty() ? null : key);
        List<String> models = client.models();
        List<ServerPrompt> prompts = prompts(models.subList(1, models.size()));
        ServerBench.Result result =
                new ServerBench(client, models.get(0), prompts, maxTokens)
                        .run(
                                connections,
                                requests,
                                duration == null ? null : Duration.ofSeconds(duration));
        ServerReport reporter = new ServerReport(result);
        Map<String, Object> report = new LinkedHashMap<>();
        report.put("model", models.get(0));
        report.put("connections", connections);
        report.put("max_new_tokens", maxTokens);
        report.putAll(reporter.report());
        if (html != null) {
            Files.writeString(
                    html,
                    HtmlReport.page(
                            "Server benchmark of " + models.get(0), report, reporter.charts()));
        }
        print(report);
        boolean failed = (Integer) report.get("failures") > 0;
        boolean wrong = result.answers().stream().anyMatch(ServerAnswer::isWrong);
        return failed || wrong ? EXIT_FAILURES : 0;
    }

    private List<ServerPrompt> prompts(List<String> served) throws IOException {
        if (golden != null) {
            return ServerPrompt.read(golden);
        }
        List<String> names = new ArrayList<>();
        if (adapters == null) {
            names.add("");
            names.addAll(served);
        } else {
            names.addAll(adapters);
        }
        for (String name : names) {
            if (!name.isEmpty() && !served.contains(name)) {
                throw new LoraConfigurationException(
                        "--adapters has " + name + "; the server has " + served);
            }
        }
        return names.stream()
                .map(name -> new ServerPrompt(name, prompt, Optional.empty()))
                .toList();
    }

    private void print(Map<String, Object> report) {
        PrintWriter out = spec.commandLine().getOut();
        if (json) {
            Gson gson = new GsonBuilder().setPrettyPrinting().disableHtmlEscaping().create();
            out.println(gson.toJson(report));
            return;
        }
        report.forEach(
                (name, value) -> {
                    if (!"timeline".equals(name)) {
                        print(out, name, value);
                    }
                });
    }

    private static void print(PrintWriter out, String name, Object value) {
        if (value instanceof Map<?, ?> several) {
            several.forEach((inner, one) -> print(out, name + '.' + inner, one));
        } else if (value instanceof List<?> list) {
            list.forEach(one -> print(out, name, String.valueOf(one)));
        } else if (value instanceof Double number) {
            out.printf(Locale.ROOT, "%-40s %14.3f%n", name, number);
        } else {
            out.printf("%-40s %14s%n", name, value);
        }
    }
}
