/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

import ai.djl.lora.generate.EmbeddingRequest;
import ai.djl.lora.generate.EmbeddingResult;
import ai.djl.lora.generate.engine.GenerationEngine;
import ai.djl.lora.generate.engine.ReadingHandle;
import ai.djl.lora.generate.engine.Submission;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.function.UnaryOperator;

/**
 * Has the texts of one request read, some at a time: clients send thousands at once, and an
 * engine's queue is for many requests.
 */
final class VectorBatch {

    private static final int AT_A_TIME = 32;

    private final GenerationEngine engine;
    private final List<EmbeddingRequest> requests;
    private final UnaryOperator<Submission.Builder> said;
    private final CompletableFuture<List<EmbeddingResult>> end = new CompletableFuture<>();
    private final List<EmbeddingResult> results = new ArrayList<>();
    private List<ReadingHandle<EmbeddingResult>> running = List.of();
    private boolean cancelled;

    /**
     * Constructs a new {@code VectorBatch} instance.
     *
     * @param engine reads
     * @param requests the texts
     * @param said says for whom they are
     */
    VectorBatch(
            GenerationEngine engine,
            List<EmbeddingRequest> requests,
            UnaryOperator<Submission.Builder> said) {
        this.engine = engine;
        this.requests = List.copyOf(requests);
        this.said = said;
    }

    /**
     * Begins.
     *
     * @return completes with all vectors, or with the reason of the first text that has none
     */
    CompletableFuture<List<EmbeddingResult>> start() {
        next();
        return end;
    }

    /** Ends the request where it stands. */
    void cancel() {
        List<ReadingHandle<EmbeddingResult>> handles;
        synchronized (this) {
            cancelled = true;
            handles = running;
        }
        handles.forEach(ReadingHandle::cancel);
    }

    /** Has the next texts read, which are those behind the results. */
    private void next() {
        List<ReadingHandle<EmbeddingResult>> handles = new ArrayList<>();
        try {
            synchronized (this) {
                if (cancelled) {
                    throw new CancellationException("The client has gone");
                }
                int from = results.size();
                int to = Math.min(requests.size(), from + AT_A_TIME);
                running = handles;
                for (EmbeddingRequest request : requests.subList(from, to)) {
                    handles.add(engine.read(request, said));
                }
            }
        } catch (RuntimeException e) {
            handles.forEach(ReadingHandle::cancel);
            end.completeExceptionally(e);
            return;
        }
        List<CompletableFuture<EmbeddingResult>> reads =
                handles.stream().map(ReadingHandle::result).toList();
        CompletableFuture.allOf(reads.toArray(CompletableFuture[]::new))
                .whenComplete(
                        (all, failure) -> {
                            if (failure != null) {
                                end.completeExceptionally(failure);
                            } else {
                                add(reads.stream().map(CompletableFuture::join).toList());
                            }
                        });
    }

    private void add(List<EmbeddingResult> read) {
        boolean whole;
        synchronized (this) {
            results.addAll(read);
            whole = results.size() == requests.size();
        }
        if (whole) {
            end.complete(results);
        } else {
            next();
        }
    }
}
