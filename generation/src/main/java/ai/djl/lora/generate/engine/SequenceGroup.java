/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.lora.cache.AdapterLease;
import ai.djl.lora.generate.GenerationRequest;
import ai.djl.lora.generate.GenerationResult;
import ai.djl.lora.op.SequenceStart;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/**
 * The sequences that answer one request, under one lease of its adapter. The first runs the prompt;
 * when that is done the others begin, behind the blocks that it filled. For the engine's thread
 * alone.
 */
final class SequenceGroup {

    private final Submission submission;
    private final AnswerGroup answers;
    private final SequenceStart start;
    private final long arrival;
    private final List<Sequence> members = new ArrayList<>();
    private final List<GenerationResult> results = new ArrayList<>();
    private CompletableFuture<AdapterLease> loading;
    private AdapterLease lease;
    private long firstScheduled = -1;
    private boolean ended;

    /**
     * Constructs a new {@code SequenceGroup} instance without sequences.
     *
     * @param submission the request, valid
     * @param answers what its user holds
     * @param start what its adapter asks of a sequence
     * @param arrival when it came
     */
    SequenceGroup(Submission submission, AnswerGroup answers, SequenceStart start, long arrival) {
        this.submission = submission;
        this.answers = answers;
        this.start = start;
        this.arrival = arrival;
    }

    Submission submission() {
        return submission;
    }

    GenerationRequest request() {
        return submission.request();
    }

    AnswerGroup answers() {
        return answers;
    }

    SequenceStart start() {
        return start;
    }

    long arrival() {
        return arrival;
    }

    void add(Sequence sequence) {
        members.add(sequence);
    }

    /** Returns the sequences that there are so far. */
    List<Sequence> members() {
        return members;
    }

    /** Returns whether sequences are left to be made. */
    boolean isPartial() {
        return members.size() < answers.size();
    }

    /** Takes an answer. */
    void finish(GenerationResult result) {
        results.add(result);
    }

    /** Returns the answers that there are so far. */
    List<GenerationResult> results() {
        return results;
    }

    /** Returns whether every sequence has its answer. */
    boolean isWhole() {
        return results.size() == answers.size();
    }

    CompletableFuture<AdapterLease> loading() {
        return loading;
    }

    void setLoading(CompletableFuture<AdapterLease> future) {
        loading = future;
    }

    AdapterLease lease() {
        return lease;
    }

    void setLease(AdapterLease leased) {
        lease = leased;
    }

    /** Returns when the request was first scheduled, -1 before. */
    long firstScheduled() {
        return firstScheduled;
    }

    void setFirstScheduled(long time) {
        firstScheduled = time;
        answers.begin(
                lease == null
                        ? new AnsweringRevision(Sequence.BASE, Optional.empty())
                        : new AnsweringRevision(lease.getRevision(), lease.getSubstitution()));
    }

    boolean isEnded() {
        return ended;
    }

    /** Gives back what the sequences shared. */
    void end() {
        ended = true;
        if (lease != null) {
            lease.close();
        } else if (loading != null) {
            loading.whenComplete(
                    (late, failure) -> {
                        if (late != null) {
                            late.close();
                        }
                    });
            loading.cancel(false);
        }
    }
}
