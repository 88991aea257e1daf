/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Deque;
import java.util.List;

/**
 * Decides which sequences the next step runs.
 *
 * <p>Prompts go first, whole, as many as fit a budget of tokens; then all running sequences take
 * one token in each step until places become free. Sequences of one adapter always lie together, so
 * that the operator gets one long segment for each adapter.
 */
final class StepScheduler implements AutoCloseable {

    private static final Comparator<Sequence> BY_MIX = Comparator.comparing(Sequence::mix);

    private final int prefillTokens;
    private final int maxRows;
    private final Deque<Sequence> waiting;
    private final List<Sequence> running = new ArrayList<>();

    /**
     * Constructs a new {@code StepScheduler} instance.
     *
     * @param sequences the sequences to run
     * @param prefillTokens the budget of prompt tokens of a step; a longer prompt has a step alone
     * @param maxRows the number of sequences that may run at a time
     */
    StepScheduler(List<Sequence> sequences, int prefillTokens, int maxRows) {
        this.prefillTokens = prefillTokens;
        this.maxRows = maxRows;
        List<Sequence> sorted = new ArrayList<>(sequences);
        sorted.sort(BY_MIX);
        waiting = new ArrayDeque<>(sorted);
    }

    boolean hasWork() {
        return !waiting.isEmpty() || !running.isEmpty();
    }

    /** Returns whether the next step runs prompts. */
    boolean isPrefill() {
        return !waiting.isEmpty() && running.size() < maxRows;
    }

    /** Returns the sequences of the next step, sorted by adapter. */
    List<Sequence> schedule() {
        if (!isPrefill()) {
            return List.copyOf(running);
        }
        List<Sequence> step = new ArrayList<>();
        int tokens = 0;
        while (!waiting.isEmpty() && running.size() < maxRows) {
            int prompt = waiting.peek().promptPositions();
            if (!step.isEmpty() && prompt > prefillTokens - tokens) {
                break;
            }
            tokens += prompt;
            Sequence sequence = waiting.remove();
            step.add(sequence);
            running.add(sequence);
        }
        running.sort(BY_MIX);
        return step;
    }

    /** Takes out the sequences that are finished, frees their caches and returns their number. */
    int retire() {
        int before = running.size();
        running.removeIf(
                sequence -> {
                    if (sequence.isFinished()) {
                        sequence.close();
                    }
                    return sequence.isFinished();
                });
        return before - running.size();
    }

    /** Frees the caches of all sequences that have not finished. */
    @Override
    public void close() {
        running.forEach(Sequence::close);
    }
}
