/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.benchmarks.peers;

import ai.djl.Model;
import ai.djl.engine.Engine;
import ai.djl.lora.generate.GenerationRequest;
import ai.djl.lora.generate.engine.EngineOptions;
import ai.djl.lora.generate.engine.EngineRecorder;
import ai.djl.lora.generate.engine.EngineStatistics;
import ai.djl.lora.generate.engine.GeneratedToken;
import ai.djl.lora.generate.engine.GenerationEngine;
import ai.djl.lora.generate.engine.GenerationHandle;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.model.CausalLanguageModel;
import ai.djl.lora.model.LlamaBlockFactory;
import com.google.gson.Gson;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Runs requests in this project's engine: one that stays, without prefix caching and without
 * drafts, which the others are measured without too.
 */
final class PeerRunner implements AutoCloseable {

    private static final int MAX_SEQUENCES = 16;
    private static final long KV_BYTES = 512L << 20;

    private final Model model;
    private final GenerationEngine engine;
    private final Clock clock = new Clock();
    private long generated;

    /**
     * Loads a model and its adapters.
     *
     * @param folder the folder that {@code models.py} made, with the folders {@code model}, {@code
     *     adapter0}, {@code adapter1} and so on
     * @param type the type of weights and of keys and values, such as {@code bfloat16}
     * @throws IOException if a file cannot be read
     */
    PeerRunner(Path folder, String type) throws IOException {
        model = Model.newInstance("peer", "PyTorch");
        GenerationEngine started = null;
        try {
            CausalLanguageModel block =
                    (CausalLanguageModel)
                            new LlamaBlockFactory()
                                    .newBlock(
                                            model, folder.resolve("model"), Map.of("dtype", type));
            model.setBlock(block);
            for (int i = 0; Files.exists(folder.resolve("adapter" + i)); ++i) {
                block.getAdapters().register("adapter" + i, folder.resolve("adapter" + i));
            }
            EngineOptions options =
                    EngineOptions.builder()
                            .optPrefixCaching(false)
                            .optSpeculation(false)
                            .optMaxSequences(MAX_SEQUENCES)
                            .optKvBytes(KV_BYTES)
                            .optRecorder(clock)
                            .build();
            started = new GenerationEngine(block, options);
        } finally {
            if (started == null) {
                model.close();
            }
        }
        engine = started;
    }

    /** Notes when all requests of a turn had their first token. Lives on the engine's thread. */
    private static final class Clock implements EngineRecorder {

        private volatile int expected;
        private volatile long newTokensThen;
        private volatile long firstNanos;
        private int begun;
        private boolean allBegun;

        private void expect(int requests) {
            expected = requests;
        }

        @Override
        public void firstToken(String adapter, long nanos) {
            if (++begun == expected) {
                begun = 0;
                allBegun = true;
                firstNanos = System.nanoTime();
            }
        }

        @Override
        public void step(EngineStatistics statistics, long nanos) {
            if (allBegun) {
                allBegun = false;
                newTokensThen = statistics.newTokens();
            }
        }
    }

    /**
     * Runs the requests of a turn at once.
     *
     * @param request the requests
     * @return what came of them
     */
    PeerAnswer answer(PeerRequest request) {
        SamplingParameters sampling =
                SamplingParameters.greedy(request.newTokens()).toBuilder()
                        .ignoreEos(true)
                        .logProbs(request.logProbs() ? 0 : -1)
                        .build();
        int count = request.prompts().length;
        clock.expect(count);
        List<GenerationHandle> handles = new ArrayList<>();
        long start = System.nanoTime();
        for (int i = 0; i < count; ++i) {
            int adapter = request.adapters()[i];
            String name = adapter < 0 ? "" : "adapter" + adapter;
            handles.add(
                    engine.submit(new GenerationRequest(request.prompts()[i], name, sampling)));
        }
        handles.forEach(GenerationHandle::join);
        long end = System.nanoTime();
        List<List<Integer>> tokens = new ArrayList<>();
        List<List<Float>> logProbs = new ArrayList<>();
        for (GenerationHandle handle : handles) {
            List<Integer> answer = new ArrayList<>();
            List<Float> probable = new ArrayList<>();
            for (GeneratedToken token : handle) {
                answer.add(token.token());
                if (request.logProbs()) {
                    probable.add(token.logProb());
                }
            }
            tokens.add(answer);
            logProbs.add(probable);
        }
        generated += (long) count * request.newTokens();
        // with one token each the engine may not yet have said how its last step ended
        long decoded = request.newTokens() == 1 ? 0 : generated - clock.newTokensThen;
        return new PeerAnswer(
                tokens,
                logProbs,
                (clock.firstNanos - start) * 1e-9,
                (end - start) * 1e-9,
                decoded);
    }

    /**
     * Answers requests until there are no more.
     *
     * @param in the requests, a line of JSON each
     * @param out the answers, likewise, after a line that says what this engine is
     * @throws IOException if a request cannot be read
     */
    void serve(BufferedReader in, PrintStream out) throws IOException {
        Gson gson = new Gson();
        String version = Engine.getEngine("PyTorch").getVersion();
        out.println(gson.toJson(Map.of("engine", "djl-lora on libtorch " + version)));
        out.flush();
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            out.println(gson.toJson(answer(gson.fromJson(line, PeerRequest.class))));
            out.flush();
        }
    }

    /** Ends the engine and frees the model. */
    @Override
    public void close() {
        engine.close();
        model.close();
    }

    /**
     * Answers requests from standard input.
     *
     * @param args the folder that {@code models.py} made
     * @throws IOException if the model or a request cannot be read
     */
    public static void main(String[] args) throws IOException {
        PrintStream out = System.out;
        System.setOut(System.err); // the answers keep it to themselves
        try (PeerRunner runner = new PeerRunner(Path.of(args[0]), "bfloat16");
                BufferedReader in =
                        new BufferedReader(
                                new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
            runner.serve(in, out);
        }
    }
}
