/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.OptionalDouble;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;

/** Keeps connections to a running server busy, each with one request after the other. */
final class ServerBench {

    private static final String MEMORY = "memory_usage_bytes{area=\"resident\"";
    private static final long SAMPLE_MILLIS = 1000;

    private final ServerClient client;
    private final String base;
    private final List<ServerPrompt> prompts;
    private final int maxTokens;

    /**
     * The server's memory at a time.
     *
     * @param nanos the time, by {@link System#nanoTime}
     * @param bytes the bytes
     */
    record MemorySample(long nanos, double bytes) {}

    /**
     * What came of a run.
     *
     * @param begun when it began, by {@link System#nanoTime}
     * @param nanos how long it took
     * @param answers all answers, by the time of their requests
     * @param memory the server's memory, where it tells
     */
    record Result(long begun, long nanos, List<ServerAnswer> answers, List<MemorySample> memory) {}

    /**
     * Constructs a new {@code ServerBench} instance.
     *
     * @param client the server
     * @param base the base model's name
     * @param prompts what is asked, in turns
     * @param maxTokens the most tokens of an answer
     */
    ServerBench(ServerClient client, String base, List<ServerPrompt> prompts, int maxTokens) {
        this.client = client;
        this.base = base;
        this.prompts = List.copyOf(prompts);
        this.maxTokens = maxTokens;
    }

    /**
     * Runs.
     *
     * @param connections how many requests there are at a time
     * @param requests how many there are in all, if no time ends them
     * @param time for how long new ones begin; null for as long as there are requests
     * @return what came of it
     */
    Result run(int connections, int requests, Duration time)
            throws InterruptedException, IOException {
        List<ServerAnswer> answers = Collections.synchronizedList(new ArrayList<>());
        List<MemorySample> memory = new ArrayList<>();
        AtomicInteger next = new AtomicInteger();
        ExecutorService threads = Executors.newFixedThreadPool(connections);
        long begun = System.nanoTime();
        long end = time == null ? Long.MAX_VALUE : begun + time.toNanos();
        try {
            List<Future<?>> running = new ArrayList<>();
            for (int i = 0; i < connections; ++i) {
                running.add(
                        threads.submit(
                                () -> {
                                    int index = next.getAndIncrement();
                                    while (time == null
                                            ? index < requests
                                            : System.nanoTime() < end) {
                                        ServerPrompt prompt = prompts.get(index % prompts.size());
                                        answers.add(client.complete(prompt, base, maxTokens));
                                        index = next.getAndIncrement();
                                    }
                                    return null;
                                }));
            }
            sample(running, memory);
        } finally {
            threads.shutdownNow();
        }
        long nanos = System.nanoTime() - begun;
        List<ServerAnswer> ordered = new ArrayList<>(answers);
        ordered.sort((a, b) -> Long.compare(a.begun(), b.begun()));
        return new Result(begun, nanos, ordered, memory);
    }

    private void sample(List<Future<?>> running, List<MemorySample> memory)
            throws InterruptedException, IOException {
        while (!running.stream().allMatch(Future::isDone)) {
            OptionalDouble bytes = client.metric(MEMORY);
            bytes.ifPresent(value -> memory.add(new MemorySample(System.nanoTime(), value)));
            long wait = SAMPLE_MILLIS;
            while (wait > 0 && !running.stream().allMatch(Future::isDone)) {
                Thread.sleep(20);
                wait -= 20;
            }
        }
        for (Future<?> each : running) {
            try {
                each.get();
            } catch (ExecutionException e) {
                throw new IllegalStateException(e.getCause());
            }
        }
    }
}
