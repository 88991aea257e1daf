/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.e2e;

import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.generate.GenerationRequest;
import ai.djl.lora.generate.engine.EngineBusyException;
import ai.djl.lora.generate.engine.EngineOptions;
import ai.djl.lora.generate.engine.GenerationEngine;
import ai.djl.lora.generate.engine.GenerationHandle;
import ai.djl.lora.generate.engine.Submission;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.model.CausalLanguageModel;
import ai.djl.lora.model.KvPool;
import ai.djl.ndarray.NDList;
import ai.djl.repository.zoo.Criteria;
import ai.djl.repository.zoo.ZooModel;
import ai.djl.translate.NoopTranslator;
import java.io.IOException;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.SplittableRandom;
import java.util.concurrent.CancellationException;
import java.util.stream.Stream;

/**
 * Runs an engine for many steps and prints what that did to the process. To be run in a JVM of its
 * own, whose heap is in memory from the start and does not grow.
 *
 * <p>A first half of the steps warms up; the second is divided in two, whose times in garbage
 * collection are compared. Requests come and go all the time, with and without adapters, greedy and
 * drawn, some cancelled, in so few blocks that some are preempted; an adapter is registered, used
 * and removed again and again.
 */
public final class EngineProbe {

    private static final int IN_FLIGHT = 12;
    private static final int PROMPT_TOKENS = 40;
    private static final int NEW_TOKENS = 30;
    private static final int BLOCKS = 24;

    private final CausalLanguageModel block;
    private final Path adapter;
    private final SplittableRandom random = new SplittableRandom(1);
    private long requests;

    private EngineProbe(CausalLanguageModel block, Path adapter) {
        this.block = block;
        this.adapter = adapter;
    }

    /** Arguments: the model's folder, the adapter's folder and the number of steps. */
    public static void main(String[] args) throws Exception {
        Criteria<NDList, NDList> criteria =
                Criteria.builder()
                        .setTypes(NDList.class, NDList.class)
                        .optModelPath(Path.of(args[0]))
                        .optTranslator(new NoopTranslator())
                        .optArgument("dtype", "float32")
                        .build();
        try (ZooModel<NDList, NDList> model = criteria.loadModel()) {
            CausalLanguageModel block = (CausalLanguageModel) model.getBlock();
            block.getAdapters().register("a", Path.of(args[1]));
            new EngineProbe(block, Path.of(args[1])).run(Long.parseLong(args[2]));
        }
    }

    private void run(long steps) throws IOException {
        EngineOptions options =
                EngineOptions.builder()
                        .optMaxSequences(IN_FLIGHT)
                        .optMaxTokensPerStep(64)
                        .optKvBytes(BLOCKS * KvPool.bytesPerBlock(block))
                        .build();
        try (GenerationEngine engine = new GenerationEngine(block, options)) {
            use(engine, steps / 2);
            int threads = Thread.activeCount();
            int processThreads = processThreads();
            long arrays = MemoryProbe.openArrays();
            long resident = MemoryProbe.residentBytes();
            long collected = collectionMillis();
            use(engine, steps * 3 / 4);
            long third = collectionMillis();
            use(engine, steps);
            long last = collectionMillis();
            System.out.println("resident " + (MemoryProbe.residentBytes() - resident));
            System.out.println("arrays " + (MemoryProbe.openArrays() - arrays));
            System.out.println("threads " + (Thread.activeCount() - threads));
            System.out.println("processThreads " + (processThreads() - processThreads));
            System.out.println("collectionBefore " + (third - collected));
            System.out.println("collectionAfter " + (last - third));
            System.out.println("steps " + engine.statistics().steps());
            System.out.println("requests " + requests);
            System.out.println("preemptions " + engine.statistics().preemptions());
        }
    }

    /** Keeps the engine busy until it has made so many steps, and lets it end what it has. */
    private void use(GenerationEngine engine, long steps) {
        AdapterStore store = block.getAdapters();
        Deque<GenerationHandle> handles = new ArrayDeque<>();
        while (engine.statistics().steps() < steps) {
            boolean passing = requests % 64 == 0;
            if (passing) {
                store.register("passing", adapter);
            }
            handles.add(submit(engine, passing ? "passing" : random.nextBoolean() ? "a" : ""));
            if (handles.size() >= IN_FLIGHT) {
                join(handles.remove());
            }
            if (passing) {
                while (!handles.isEmpty()) {
                    join(handles.remove());
                }
                store.unregister("passing");
            }
        }
        while (!handles.isEmpty()) {
            join(handles.remove());
        }
    }

    private GenerationHandle submit(GenerationEngine engine, String name) {
        ++requests;
        int vocabulary = block.getConfig().vocabSize();
        int[] prompt = random.ints(1 + random.nextInt(PROMPT_TOKENS), 0, vocabulary).toArray();
        SamplingParameters.Builder sampling =
                SamplingParameters.greedy(1 + random.nextInt(NEW_TOKENS)).toBuilder();
        if (random.nextInt(4) == 0) {
            sampling.temperature(1).topP(0.9).seed(requests);
        }
        GenerationRequest request = new GenerationRequest(prompt, name, sampling.build());
        GenerationHandle handle =
                engine.submit(
                        Submission.builder(request)
                                .optTenant("tenant-" + requests % 1_000)
                                .optDeadline(Duration.ofMinutes(1))
                                .build());
        if (random.nextInt(10) == 0) {
            handle.cancel();
        }
        return handle;
    }

    private static void join(GenerationHandle handle) {
        try {
            handle.join();
        } catch (CancellationException | EngineBusyException e) {
            // its own wish, or a machine that stood still for a minute
            return;
        }
    }

    private static int processThreads() throws IOException {
        Path tasks = Path.of("/proc/self/task");
        try (Stream<Path> all = Files.list(tasks)) {
            return (int) all.count();
        }
    }

    private static long collectionMillis() {
        return ManagementFactory.getGarbageCollectorMXBeans().stream()
                .mapToLong(GarbageCollectorMXBean::getCollectionTime)
                .sum();
    }
}
