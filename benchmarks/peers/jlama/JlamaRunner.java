/*
 * SPDX-License-Identifier: Apache-2.0
 */
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.github.tjake.jlama.model.AbstractModel;
import com.github.tjake.jlama.model.qwen2.Qwen2Config;
import com.github.tjake.jlama.model.qwen2.Qwen2Model;
import com.github.tjake.jlama.safetensors.DType;
import com.github.tjake.jlama.safetensors.SafeTensorSupport;
import com.github.tjake.jlama.tensor.AbstractTensor;
import com.github.tjake.jlama.tensor.KvBufferCache;
import com.github.tjake.jlama.tensor.operations.TensorOperationsProvider;
import com.github.tjake.jlama.util.JsonSupport;
import com.github.tjake.jlama.util.PhysicalCoreExecutor;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;

/** Runs requests in Jlama, one after another: it has neither batches nor adapters. */
public final class JlamaRunner {

    private static final ObjectMapper JSON = new ObjectMapper();

    private final AbstractModel model;

    private JlamaRunner(Path folder, DType working) throws IOException {
        File files = folder.resolve("model").toFile();
        Qwen2Config config =
                JsonSupport.om.readValue(new File(files, "config.json"), Qwen2Config.class);
        // the tokenizer is not asked for anything: the requests have tokens
        model =
                new Qwen2Model(
                        config,
                        SafeTensorSupport.loadWeights(files),
                        null,
                        working,
                        DType.I8,
                        Optional.empty());
    }

    private Map<String, Object> answer(JsonNode request) {
        List<List<Integer>> tokens = new ArrayList<>();
        int count = request.get("new_tokens").asInt();
        double first = 0;
        long start = System.nanoTime();
        for (int i = 0; i < request.get("prompts").size(); ++i) {
            if (request.get("adapters").get(i).asInt() >= 0) {
                throw new IllegalArgumentException("Jlama has no adapters");
            }
            List<Integer> answer = new ArrayList<>();
            first = (generate(prompt(request.get("prompts").get(i)), count, answer) - start) * 1e-9;
            tokens.add(answer);
        }
        return Map.of(
                "tokens",
                tokens,
                "log_probs",
                List.of(),
                "first_seconds",
                first,
                "seconds",
                (System.nanoTime() - start) * 1e-9,
                "decoded",
                count - 1);
    }

    private static int[] prompt(JsonNode tokens) {
        int[] prompt = new int[tokens.size()];
        for (int i = 0; i < prompt.length; ++i) {
            prompt[i] = tokens.get(i).asInt();
        }
        return prompt;
    }

    /* Returns when the first token was there. */
    private long generate(int[] prompt, int count, List<Integer> tokens) {
        KvBufferCache cache = new KvBufferCache(model);
        try (KvBufferCache.KvBuffer kv = cache.getKvBuffer(UUID.randomUUID());
                AbstractTensor logits = model.makeDenseTensor(model.getConfig().vocabularySize)) {
            try (AbstractTensor last = model.batchForward(prompt, 0, kv, Optional.empty())) {
                int row = last.shape().first() - 1;
                tokens.add(model.sample(last.slice(row), 0, 0, logits));
            }
            long first = System.nanoTime();
            for (int i = 1; i < count; ++i) {
                int token = tokens.get(i - 1);
                int position = prompt.length + i - 1;
                try (AbstractTensor next = model.forward(token, position, kv, Optional.empty())) {
                    tokens.add(model.sample(next, 0, 0, logits));
                }
                kv.incrementContextPosition();
            }
            return first;
        } finally {
            cache.close();
        }
    }

    /**
     * Answers requests until there are no more.
     *
     * @param args the folder that models.py made, the type of activations, F32 or BF16, and the
     *     number of threads
     * @throws IOException if the model cannot be read
     */
    public static void main(String[] args) throws IOException {
        PrintStream out = System.out;
        System.setOut(System.err);
        PhysicalCoreExecutor.overrideThreadCount(Integer.parseInt(args[2]));
        JlamaRunner runner = new JlamaRunner(Path.of(args[0]), DType.valueOf(args[1]));
        String operations = TensorOperationsProvider.get().name();
        String engine = "Jlama 0.8.4, " + operations + ", activations in " + args[1];
        out.println(JSON.writeValueAsString(Map.of("engine", engine)));
        BufferedReader in =
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            out.println(JSON.writeValueAsString(runner.answer(JSON.readTree(line))));
        }
    }
}
