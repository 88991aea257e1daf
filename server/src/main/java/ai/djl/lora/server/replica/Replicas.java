/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.replica;

import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.generate.ReadRequest;
import ai.djl.lora.generate.engine.AnswerGroup;
import ai.djl.lora.generate.engine.EngineBusyException;
import ai.djl.lora.generate.engine.EngineOptions;
import ai.djl.lora.generate.engine.EngineRecorder;
import ai.djl.lora.generate.engine.EngineStatistics;
import ai.djl.lora.generate.engine.GenerationEngine;
import ai.djl.lora.generate.engine.ReadingHandle;
import ai.djl.lora.generate.engine.Submission;
import ai.djl.lora.memory.Registration;
import ai.djl.lora.model.CausalLanguageModel;
import ai.djl.lora.server.http.HttpFailure;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import java.util.function.UnaryOperator;

/**
 * The engines that answer a model's requests. All run the one model that is loaded, with its
 * weights and its adapters, so a name leads to the same revision in all of them at every moment;
 * each has its own queue, steps, and keys and values.
 */
public final class Replicas implements AutoCloseable {

    private final AdapterStore store;
    private final ReplicaBalancer balancer;
    private final List<EngineReplica> all;

    /** Held while a replica is chosen and the request counted. */
    private final Object choosing = new Object();

    /**
     * Constructs a new {@code Replicas} instance. Its engines start; the first one is that which
     * all users of the model share.
     *
     * @param model the model
     * @param engine what each engine is to be like
     * @param options how many there are, and which gets a request
     * @throws ai.djl.lora.LoraConfigurationException if the engines cannot be as is asked
     */
    public Replicas(
            CausalLanguageModel model, EngineOptions.Builder engine, ReplicaOptions options) {
        store = model.getAdapters();
        balancer = options.balancer();
        engine.optEngines(options.count());
        List<EngineReplica> made = new ArrayList<>();
        boolean whole = false;
        try {
            while (made.size() < options.count()) {
                EngineEvents events = new EngineEvents();
                EngineOptions own = engine.optRecorder(events).build();
                made.add(
                        new EngineReplica(
                                made.size(),
                                made.isEmpty()
                                        ? GenerationEngine.of(model, own)
                                        : new GenerationEngine(model, own),
                                events));
            }
            whole = true;
        } finally {
            if (!whole) {
                made.forEach(replica -> replica.engine().close());
            }
        }
        all = List.copyOf(made);
    }

    /**
     * Returns the replicas.
     *
     * @return all of them, each at its own index
     */
    public List<EngineReplica> all() {
        return all;
    }

    /**
     * Returns whether requests are taken.
     *
     * @return whether at least one replica takes some
     */
    public boolean isReady() {
        return all.stream().anyMatch(EngineReplica::isReady);
    }

    /**
     * Returns how the replicas stand together.
     *
     * @return the sums
     */
    public EngineStatistics statistics() {
        return all.stream()
                .map(EngineReplica::statistics)
                .reduce(EngineStatistics::plus)
                .orElseThrow();
    }

    /**
     * Adds who is told what happens in each replica, on their threads.
     *
     * @param recorder who is told; what it throws is logged
     * @return makes it forgotten when it is closed
     */
    public Registration addRecorder(EngineRecorder recorder) {
        List<Registration> registrations =
                all.stream().map(replica -> replica.events().add(recorder)).toList();
        return () -> registrations.forEach(Registration::close);
    }

    /**
     * Has a replica take a request for text. Where the chosen one has no room, or has just ended,
     * another one takes it.
     *
     * @param session what the request has in common with others; "" for nothing
     * @param submission the request, and what is said of it
     * @return its answers and their end
     * @throws EngineBusyException if no replica has room
     * @throws HttpFailure of status 503 if no replica takes requests
     */
    public AnswerGroup submit(String session, Submission submission) {
        int answers = submission.request().sampling().bestOf();
        return place(
                new ReplicaRequest(session, key(submission.request().adapter()), answers),
                engine -> engine.submitGroup(submission),
                AnswerGroup::results);
    }

    /**
     * Has a replica read a text, as {@link #submit} does.
     *
     * @param session what the request has in common with others; "" for nothing
     * @param request the request
     * @param said says for whom it is and how urgent
     * @param <R> what it is answered with
     * @return its end
     * @throws EngineBusyException if no replica has room
     * @throws HttpFailure of status 503 if no replica takes requests
     */
    public <R> ReadingHandle<R> read(
            String session, ReadRequest<R> request, UnaryOperator<Submission.Builder> said) {
        return place(
                new ReplicaRequest(session, key(request.adapter()), 1),
                engine -> engine.read(request, said),
                ReadingHandle::result);
    }

    /* Aliases share what is in memory of their adapter, and no revision shares it with another. */
    private String key(String adapter) {
        return store.getRegistry()
                .find(adapter)
                .map(registered -> registered.current().hash())
                .orElse(adapter);
    }

    private <T> T place(
            ReplicaRequest request,
            Function<GenerationEngine, T> submit,
            Function<T, CompletableFuture<?>> ends) {
        List<EngineReplica> left = new ArrayList<>(all);
        EngineBusyException busy = null;
        while (true) {
            left.removeIf(replica -> !replica.isReady());
            if (left.isEmpty()) {
                throw busy == null ? noEngine() : busy;
            }
            EngineReplica chosen = choose(request, left);
            left.remove(chosen);
            boolean taken = false;
            try {
                T placed = submit.apply(chosen.engine());
                taken = true;
                ends.apply(placed).whenComplete((end, failure) -> chosen.end(request.answers()));
                return placed;
            } catch (EngineBusyException e) {
                busy = e;
            } catch (IllegalStateException e) {
                if (chosen.isReady()) {
                    throw e;
                }
                // it has ended since it was chosen
            } finally {
                if (!taken) {
                    chosen.end(request.answers());
                }
            }
        }
    }

    private static HttpFailure noEngine() {
        return new HttpFailure(
                503,
                "no_engine",
                "no engine takes requests",
                null,
                Map.of("Retry-After", "1"),
                null);
    }

    private EngineReplica choose(ReplicaRequest request, List<EngineReplica> ready) {
        synchronized (choosing) {
            ReplicaLoad chosen =
                    balancer.choose(request, ready.stream().map(EngineReplica::load).toList());
            for (EngineReplica replica : ready) {
                if (replica.index() == chosen.replica()) {
                    replica.begin(request.answers());
                    return replica;
                }
            }
            throw new IllegalArgumentException(
                    balancer + " chose replica " + chosen.replica() + ", which was not given");
        }
    }

    /**
     * Takes no more requests, and waits until those that were taken have ended.
     *
     * @param time the longest time to wait
     * @return whether all have ended
     * @throws InterruptedException if the thread was interrupted while it waited
     */
    public boolean drain(Duration time) throws InterruptedException {
        long end = System.nanoTime() + time.toNanos();
        // none may take what another one no longer does
        for (EngineReplica replica : all) {
            replica.engine().drain(Duration.ZERO);
        }
        boolean drained = true;
        for (EngineReplica replica : all) {
            long left = Math.max(0, end - System.nanoTime());
            drained &= replica.engine().drain(Duration.ofNanos(left));
        }
        return drained;
    }

    /** Ends all engines after the steps that run. Requests that have not ended fail. */
    @Override
    public void close() {
        try {
            drain(Duration.ZERO);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        all.forEach(replica -> replica.engine().close());
    }
}
