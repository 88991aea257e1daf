/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

import ai.djl.lora.generate.EmbeddingRequest;
import ai.djl.lora.generate.EmbeddingResult;
import ai.djl.lora.generate.engine.ReadingHandle;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;

/**
 * Has the texts of one request read, some at a time: clients send thousands at once, and an
 * engine's queue is for many requests.
 */
final class VectorBatch {

    private static final int AT_A_TIME = 32;

    private final Function<EmbeddingRequest, ReadingHandle<EmbeddingResult>> reading;
    private final List<EmbeddingRequest> requests;
    private final CompletableFuture<List<EmbeddingResult>> end = new CompletableFuture<>();
    private final List<EmbeddingResult> results = new ArrayList<>();
    private List<ReadingHandle<EmbeddingResult>> running = List.of();
    private boolean cancelled;

    /**
     * Constructs a new {@code VectorBatch} instance.
     *
     * @param reading has an engine read a text
     * @param requests the texts
     */
    VectorBatch(
            Function<EmbeddingRequest, ReadingHandle<EmbeddingResult>> reading,
            List<EmbeddingRequest> requests) {
        this.reading = reading;
        this.requests = List.copyOf(requests);
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
                    handles.add(reading.apply(request));
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
                            if (failure != null && InputAnswers.isOfEngine(failure)) {
                                // another engine is asked; where there is none it is told here
                                handles.forEach(ReadingHandle::cancel);
                                next();
                            } else if (failure != null) {
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
