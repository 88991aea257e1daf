/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.operations;

import ai.djl.lora.generate.engine.EngineRecorder;
import com.google.gson.JsonObject;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import java.util.stream.LongStream;

/** How the engine's requests of the last minute went, a thousand of them at most. */
public final class RecentRequests implements EngineRecorder {

    private static final long WINDOW = TimeUnit.MINUTES.toNanos(1);
    private static final int MOST = 1000;
    private static final double MILLI = 1_000_000.0;

    private final LongSupplier ticker;
    private final Deque<Answer> answers = new ArrayDeque<>();
    private long failures;

    /**
     * Constructs a new {@code RecentRequests} instance.
     *
     * @param ticker the time in nanoseconds
     */
    public RecentRequests(LongSupplier ticker) {
        this.ticker = ticker;
    }

    /** An answer, when it was whole, how long it took, and its tokens. */
    private record Answer(long time, long nanos, int tokens) {}

    /** {@inheritDoc} */
    @Override
    public synchronized void finished(
            String adapter, int promptTokens, int cachedTokens, int newTokens, long nanos) {
        answers.add(new Answer(ticker.getAsLong(), nanos, newTokens));
        if (answers.size() > MOST) {
            answers.remove();
        }
    }

    /** {@inheritDoc} */
    @Override
    public synchronized void failed(String adapter, Throwable reason) {
        ++failures;
    }

    /** Returns latency and throughput. */
    synchronized JsonObject json() {
        long now = ticker.getAsLong();
        while (!answers.isEmpty() && now - answers.peek().time > WINDOW) {
            answers.remove();
        }
        JsonObject json = new JsonObject();
        json.addProperty("answers", answers.size());
        json.addProperty("failures", failures);
        if (!answers.isEmpty()) {
            // what fell out of a full window is not counted as if nothing had come before
            double seconds =
                    answers.size() < MOST
                            ? WINDOW / 1e9
                            : Math.max(1, now - answers.peek().time) / 1e9;
            long[] sorted = answers.stream().mapToLong(Answer::nanos).sorted().toArray();
            json.addProperty("answersPerSecond", answers.size() / seconds);
            json.addProperty(
                    "tokensPerSecond", answers.stream().mapToLong(Answer::tokens).sum() / seconds);
            json.addProperty("meanMillis", mean(sorted));
            json.addProperty("p50Millis", percentile(sorted, 0.5));
            json.addProperty("p95Millis", percentile(sorted, 0.95));
            json.addProperty("p99Millis", percentile(sorted, 0.99));
        }
        return json;
    }

    private static double mean(long[] nanos) {
        return LongStream.of(nanos).average().orElse(0) / MILLI;
    }

    private static double percentile(long[] sorted, double share) {
        int index = (int) Math.ceil(share * sorted.length) - 1;
        return Arrays.stream(sorted).skip(Math.max(0, index)).findFirst().orElse(0) / MILLI;
    }
}
