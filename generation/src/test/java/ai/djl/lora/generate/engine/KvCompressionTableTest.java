/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.Model;
import ai.djl.lora.cache.AdapterLease;
import ai.djl.lora.generate.kv.KvCodec;
import ai.djl.lora.generate.kv.KvCompression;
import ai.djl.lora.model.CausalLanguageModel;
import ai.djl.lora.model.ForwardStep;
import ai.djl.lora.model.KvBlockAllocator;
import ai.djl.lora.model.KvBlockShape;
import ai.djl.lora.model.KvCache;
import ai.djl.lora.model.KvPool;
import ai.djl.lora.model.KvType;
import ai.djl.lora.model.LlamaBlockFactory;
import ai.djl.lora.op.AdapterMix;
import ai.djl.lora.tensor.ElementConverter;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import com.google.gson.Gson;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.testng.Assert;
import org.testng.annotations.Test;

/**
 * What each codec saves on the demo model's keys and values, what it loses, and what becomes of the
 * answers of the base and of every adapter. Writes the tables of {@code
 * docs/results/kv-compression.md} to {@code target/kv-compression.md}; with {@code
 * -Ddjl.lora.rounds=50}, pruning too and times that mean something.
 */
public class KvCompressionTableTest {

    private static final int ROUNDS = Integer.getInteger("djl.lora.rounds", 3);
    private static final Path DEMO = Path.of("../examples/demo");
    private static final Path HELD_OUT = Path.of("../src/test/resources/demo/held-out.jsonl");

    /** How many prompts run at a time. */
    private static final int BATCH = 60;

    private static final int MOST_NEW_TOKENS = 30;

    /** The blocks of a prompt, of at most 41 tokens, and of its answer. */
    private static final int BLOCKS = 5;

    private static final int POSITIONS = KvPool.BLOCK_POSITIONS;

    /** A codec, and the share that is pruned before. */
    private record Kind(KvCompression compression, double pruned) {

        String label() {
            return compression + (pruned == 0 ? "" : ", pruned " + pruned);
        }

        boolean saves(ElementType type) {
            return compression != KvCompression.FLOAT16 || type == ElementType.FLOAT32;
        }
    }

    private static final List<Kind> ALL_KINDS =
            List.of(
                    new Kind(KvCompression.FLOAT16, 0),
                    new Kind(KvCompression.INT8, 0),
                    new Kind(KvCompression.LOSSLESS, 0),
                    new Kind(KvCompression.INT8, 0.1),
                    new Kind(KvCompression.INT8, 0.2),
                    new Kind(KvCompression.INT8, 0.3),
                    new Kind(KvCompression.INT8, 0.5),
                    new Kind(KvCompression.FLOAT16, 0.3),
                    new Kind(KvCompression.LOSSLESS, 0.3));

    /** Pruning, for which nothing is asked, is measured where the tables are wanted. */
    private static final List<Kind> KINDS =
            System.getProperty("djl.lora.rounds") == null ? ALL_KINDS.subList(0, 3) : ALL_KINDS;

    /** A prompt; its answer, empty where it is not known; and other text to go on with. */
    private record Line(String adapter, int[] asked, int[] answer, int[] filler) {

        /** Returns the prompt, and as much text behind it as its last block has room for. */
        int[] filled() {
            int length = KvPool.blocksFor(asked.length) * POSITIONS;
            int[] tokens = Arrays.copyOf(asked, length);
            System.arraycopy(filler, 0, tokens, asked.length, length - asked.length);
            return tokens;
        }
    }

    /** Tokens of answers. */
    private static final class Answers {
        int tokens;
        int changed;
        int known;
        int right;
    }

    /** What becomes of blocks, and of the answers to prompts in them. */
    private static final class Loss {
        long blocks;
        long bytes;
        final double[] lost = new double[2];
        final double[] all = new double[2];
        final double[] largest = new double[2];
        final Answers words = new Answers();
        final Answers longWords = new Answers();

        double relativeRms(int part) {
            return Math.sqrt(lost[part] / all[part]);
        }
    }

    /** Returns held-out words, words of random letters, and ones longer than in training. */
    private static List<Line> lines(boolean longWords) throws IOException {
        Gson gson = new Gson();
        JsonObject vocabulary =
                gson.fromJson(
                                Files.readString(DEMO.resolve("base/tokenizer.json")),
                                JsonObject.class)
                        .getAsJsonObject("model")
                        .getAsJsonObject("vocab");
        List<String> heldOut = Files.readAllLines(HELD_OUT);
        List<Line> lines = new ArrayList<>();
        SplittableRandom random = new SplittableRandom(1);
        int[] answerBefore = {};
        for (String line : heldOut) {
            JsonObject object = gson.fromJson(line, JsonObject.class);
            String adapter = object.get("adapter").getAsString();
            int[] asked = tokens("<s>", object.get("prompt").getAsString(), "", vocabulary);
            int[] answer = tokens("", object.get("expected").getAsString(), "</s>", vocabulary);
            int[] filler = Arrays.copyOf(answer, answer.length + 2 * POSITIONS);
            System.arraycopy(asked, 0, filler, answer.length, asked.length);
            System.arraycopy(
                    answerBefore, 0, filler, answer.length + asked.length, answerBefore.length);
            answerBefore = answer;
            if (!longWords) {
                lines.add(new Line(adapter, asked, answer, filler));
            }
            int letters = longWords ? 16 + random.nextInt(24) : 3 + random.nextInt(6);
            String word =
                    random.ints(letters, 'a', 'z' + 1)
                            .mapToObj(Character::toString)
                            .collect(Collectors.joining());
            lines.add(
                    new Line(
                            adapter,
                            tokens("<s>", word + '=', "", vocabulary),
                            new int[0],
                            filler));
        }
        return lines;
    }

    private static int[] tokens(String first, String text, String last, JsonObject vocabulary) {
        return Stream.of(
                        Stream.of(first),
                        text.chars().mapToObj(Character::toString),
                        Stream.of(last))
                .flatMap(part -> part)
                .filter(token -> !token.isEmpty())
                .mapToInt(token -> vocabulary.get(token).getAsInt())
                .toArray();
    }

    private static CausalLanguageModel load(Model model, ElementType type) throws Exception {
        CausalLanguageModel block =
                (CausalLanguageModel)
                        new LlamaBlockFactory()
                                .newBlock(
                                        model, DEMO.resolve("base"), Map.of("dtype", type.label()));
        model.setBlock(block);
        for (String adapter : lines(false).stream().map(Line::adapter).distinct().toList()) {
            if (!adapter.isEmpty()) {
                block.getAdapters().register(adapter, DEMO.resolve(adapter));
            }
        }
        return block;
    }

    @Test
    public void savesAndLoses() throws Exception {
        StringBuilder tables = new StringBuilder();
        for (ElementType type : List.of(ElementType.FLOAT32, ElementType.BFLOAT16)) {
            Map<Kind, Loss> losses = new LinkedHashMap<>();
            Int8Pool pool = new Int8Pool();
            KINDS.stream()
                    .filter(kind -> kind.saves(type))
                    .forEach(kind -> losses.put(kind, new Loss()));
            try (Model model = Model.newInstance("demo", "PyTorch")) {
                CausalLanguageModel block = load(model, type);
                run(block, losses, false);
                run(block, losses, true);
                pool.measure(block);
            }
            append(tables, type, losses);
            check(type, losses);
            pool.append(tables, type);
        }
        appendTimes(tables);
        Files.writeString(
                Files.createDirectories(Path.of("target")).resolve("kv-compression.md"),
                tables.toString());
    }

    private static void check(ElementType type, Map<Kind, Loss> losses) {
        losses.forEach(
                (kind, loss) -> {
                    Assert.assertTrue(loss.words.tokens >= 4_000, "" + loss.words.tokens);
                    if (kind.equals(new Kind(KvCompression.INT8, 0))) {
                        double least = type == ElementType.FLOAT32 ? 0.5 : 0.45;
                        Assert.assertTrue(saved(loss, type) >= least, "saved " + saved(loss, type));
                        Assert.assertTrue(loss.words.changed < 0.01 * loss.words.tokens);
                    }
                    if (kind.equals(new Kind(KvCompression.LOSSLESS, 0))) {
                        Assert.assertEquals(loss.lost, new double[2]);
                        Assert.assertEquals(loss.words.changed, 0);
                        Assert.assertEquals(loss.longWords.changed, 0);
                    }
                });
    }

    private static long plainBytes(ElementType type) {
        // 4 layers, keys and values, 4 heads of 32
        return 4L * 2 * 4 * 32 * POSITIONS * type.bytes();
    }

    private static double saved(Loss loss, ElementType against) {
        return 1 - (double) loss.bytes / loss.blocks / plainBytes(against);
    }

    /** Gives blocks out one after another, and never back. */
    private static final class Counter implements KvBlockAllocator {

        private int next;

        Counter(int first) {
            next = first;
        }

        @Override
        public int allocate() {
            return next++;
        }

        @Override
        public void release(int block) {
            // all are given out again together
        }
    }

    /** A pool in 8 bits, all of whose keys and values are rounded as they are written. */
    private static final class Int8Pool {

        private final Answers words = new Answers();
        private final Answers longWords = new Answers();
        private double saved;

        void measure(CausalLanguageModel model) throws IOException {
            long bytes = KvPool.bytesPerBlock(model, KvType.INT8);
            saved = 1 - (double) bytes / KvPool.bytesPerBlock(model);
            try (NDManager manager = model.getLoraContext().getManager().newSubManager();
                    KvPool pool = model.newKvPool(manager, BATCH * BLOCKS, KvType.INT8)) {
                for (boolean isLong : new boolean[] {false, true}) {
                    forEachBatch(
                            model,
                            isLong,
                            plain -> {
                                Batch rounded = new Batch(model, pool, plain.mix, plain.lines);
                                plain.compare(
                                        plain.answers(),
                                        rounded.answers(),
                                        isLong ? longWords : words);
                            });
                }
            }
        }

        void append(StringBuilder tables, ElementType type) {
            tables.append(
                    format(
                            "A pool in `int8`, which rounds every position as it is written, those"
                                    + " of prompts and of answers: %.1f %% less memory, tokens"
                                    + " changed %s, of long words %s, held-out answers right %d of"
                                    + " %d.%n%n",
                            100 * saved,
                            changed(words),
                            changed(longWords),
                            words.right,
                            words.known));
            Assert.assertTrue(saved >= (type == ElementType.FLOAT32 ? 0.5 : 0.45), "" + saved);
            Assert.assertTrue(words.changed < 0.01 * words.tokens, "" + words.changed);
        }
    }

    private static void run(CausalLanguageModel model, Map<Kind, Loss> losses, boolean longWords)
            throws IOException {
        forEachBatch(model, longWords, batch -> batch.measure(losses, longWords));
    }

    private static void forEachBatch(
            CausalLanguageModel model, boolean longWords, Consumer<Batch> task) throws IOException {
        Map<String, List<Line>> byAdapter =
                lines(longWords).stream()
                        .collect(
                                Collectors.groupingBy(
                                        Line::adapter, LinkedHashMap::new, Collectors.toList()));
        try (NDManager manager = model.getLoraContext().getManager().newSubManager();
                KvPool pool = model.newKvPool(manager, BATCH * BLOCKS)) {
            for (Map.Entry<String, List<Line>> entry : byAdapter.entrySet()) {
                String adapter = entry.getKey();
                AdapterLease lease =
                        adapter.isEmpty() ? null : model.getAdapters().acquire(adapter);
                try (lease) {
                    AdapterMix mix = lease == null ? AdapterMix.BASE : lease.getMix();
                    List<Line> all = entry.getValue();
                    for (int from = 0; from < all.size(); from += BATCH) {
                        Batch batch =
                                new Batch(
                                        model,
                                        pool,
                                        mix,
                                        all.subList(from, Math.min(all.size(), from + BATCH)));
                        task.accept(batch);
                    }
                }
            }
        }
    }

    /** Prompts of one adapter. Those of a line have their blocks from {@code BLOCKS * line} on. */
    private record Batch(CausalLanguageModel model, KvPool pool, AdapterMix mix, List<Line> lines) {

        void measure(Map<Kind, Loss> losses, boolean longWords) {
            byte[][][] blocks = blocks();
            int[][] plain = answers(blocks);
            losses.forEach(
                    (kind, loss) -> {
                        KvCodec codec = kind.compression.codec(pool.blockShape(), kind.pruned);
                        byte[][][] restored = new byte[blocks.length][][];
                        for (int i = 0; i < blocks.length; ++i) {
                            restored[i] =
                                    Arrays.stream(blocks[i])
                                            .map(block -> restored(block, codec, loss))
                                            .toArray(byte[][]::new);
                        }
                        compare(plain, answers(restored), longWords ? loss.longWords : loss.words);
                    });
        }

        private byte[] restored(byte[] block, KvCodec codec, Loss loss) {
            byte[] encoded = new byte[codec.mostBytes()];
            byte[] decoded = new byte[block.length];
            int length = codec.encode(block, encoded);
            Assert.assertTrue(length > 0);
            codec.decode(encoded, length, decoded);
            ++loss.blocks;
            loss.bytes += Math.min(length, block.length);
            count(loss, pool.blockShape(), block, decoded);
            return decoded;
        }

        /** Returns the blocks of each prompt, the last with other text behind it. */
        private byte[][][] blocks() {
            List<KvCache> caches = new ArrayList<>();
            ForwardStep.Builder step = ForwardStep.builder();
            for (int i = 0; i < lines.size(); ++i) {
                caches.add(pool.newCache(new Counter(BLOCKS * i)));
                step.addSequence(caches.get(i), mix, lines.get(i).filled());
            }
            tops(step.build());
            byte[][][] blocks = new byte[lines.size()][][];
            for (int i = 0; i < blocks.length; ++i) {
                blocks[i] = new byte[caches.get(i).blockCount()][(int) pool.bytesPerBlock()];
                for (int block = 0; block < blocks[i].length; ++block) {
                    pool.readBlock(BLOCKS * i + block, blocks[i][block]);
                }
            }
            caches.forEach(KvCache::close);
            return blocks;
        }

        /** Answers the prompts from nothing. */
        private int[][] answers() {
            List<KvCache> caches = new ArrayList<>();
            ForwardStep.Builder step = ForwardStep.builder();
            for (int i = 0; i < lines.size(); ++i) {
                KvCache cache = pool.newCache(new Counter(BLOCKS * i));
                int[] asked = lines.get(i).asked;
                step.addSequence(cache, mix, Arrays.copyOf(asked, asked.length - 1));
                caches.add(cache);
            }
            tops(step.build());
            return answers(caches);
        }

        /** Answers the prompts from given blocks. */
        private int[][] answers(byte[][][] blocks) {
            List<KvCache> caches = new ArrayList<>();
            for (int i = 0; i < blocks.length; ++i) {
                int[] known = new int[blocks[i].length];
                for (int block = 0; block < known.length; ++block) {
                    known[block] = BLOCKS * i + block;
                    pool.writeBlock(known[block], blocks[i][block]);
                }
                KvCache cache = pool.newCache(new Counter(BLOCKS * i + known.length));
                cache.adopt(known);
                cache.truncate(lines.get(i).asked.length - 1);
                caches.add(cache);
            }
            return answers(caches);
        }

        /** Answers the prompts, all but whose last tokens are in the caches. */
        private int[][] answers(List<KvCache> caches) {
            List<IntStream.Builder> answers = new ArrayList<>();
            int[] next = new int[lines.size()];
            for (int i = 0; i < next.length; ++i) {
                int[] asked = lines.get(i).asked;
                next[i] = asked[asked.length - 1];
                answers.add(IntStream.builder());
            }
            int end = model.getConfig().eosTokenIds().iterator().next();
            List<Integer> left = new ArrayList<>(IntStream.range(0, next.length).boxed().toList());
            for (int k = 0; k < MOST_NEW_TOKENS && !left.isEmpty(); ++k) {
                ForwardStep.Builder step = ForwardStep.builder();
                left.forEach(i -> step.addSequence(caches.get(i), mix, next[i]));
                int[] tops = tops(step.build());
                for (int row = 0; row < tops.length; ++row) {
                    next[left.get(row)] = tops[row];
                    answers.get(left.get(row)).add(tops[row]);
                }
                left.removeIf(i -> next[i] == end);
            }
            caches.forEach(KvCache::close);
            return answers.stream().map(each -> each.build().toArray()).toArray(int[][]::new);
        }

        private int[] tops(ForwardStep step) {
            try (NDManager manager = model.getLoraContext().getManager().newSubManager();
                    NDArray logits = model.forward(manager, step)) {
                return model.getLoraContext().getOps().argmaxRows(logits);
            }
        }

        /** Counts the tokens that differ, those that are missing or too many too. */
        private void compare(int[][] plain, int[][] found, Answers answers) {
            for (int i = 0; i < plain.length; ++i) {
                int length = Math.max(plain[i].length, found[i].length);
                answers.tokens += plain[i].length;
                for (int k = 0; k < length; ++k) {
                    boolean same =
                            k < plain[i].length
                                    && k < found[i].length
                                    && plain[i][k] == found[i][k];
                    answers.changed += same ? 0 : 1;
                }
                int[] expected = lines.get(i).answer;
                answers.known += expected.length == 0 ? 0 : 1;
                answers.right += Arrays.equals(found[i], expected) ? 1 : 0;
            }
        }
    }

    private static void count(Loss loss, KvBlockShape shape, byte[] before, byte[] after) {
        float[] a = floats(before, shape.type());
        float[] b = floats(after, shape.type());
        for (int i = 0; i < a.length; ++i) {
            int part = i / shape.layerKeys() % 2;
            double difference = b[i] - a[i];
            loss.lost[part] += difference * difference;
            loss.all[part] += (double) a[i] * a[i];
            loss.largest[part] = Math.max(loss.largest[part], Math.abs(difference));
        }
    }

    private static float[] floats(byte[] bytes, ElementType type) {
        float[] floats = new float[bytes.length / type.bytes()];
        ByteBuffer wide = ByteBuffer.allocate(floats.length * Float.BYTES);
        ElementConverter.convert(ByteBuffer.wrap(bytes), type, wide, ElementType.FLOAT32);
        wide.flip().order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(floats);
        return floats;
    }

    private static void append(StringBuilder tables, ElementType type, Map<Kind, Loss> losses) {
        tables.append("### Pool in ").append(type).append("\n\n");
        tables.append("| codec | bytes | saved | keys: relative RMS / largest error")
                .append(" | values: the same | tokens changed | of long words")
                .append(" | held-out answers right |\n|---|---|---|---|---|---|---|---|\n");
        losses.forEach(
                (kind, loss) ->
                        tables.append(
                                format(
                                        "| %s | %,d | %.1f %% | %.1e / %.1e | %.1e / %.1e | %s | %s"
                                                + " | %d of %d |%n",
                                        kind.label(),
                                        loss.bytes / loss.blocks,
                                        100 * saved(loss, type),
                                        loss.relativeRms(0),
                                        loss.largest[0],
                                        loss.relativeRms(1),
                                        loss.largest[1],
                                        changed(loss.words),
                                        changed(loss.longWords),
                                        loss.words.right,
                                        loss.words.known)));
        tables.append('\n');
    }

    private static String changed(Answers answers) {
        return format(
                "%d of %,d = %.2f %%",
                answers.changed, answers.tokens, 100.0 * answers.changed / answers.tokens);
    }

    /** Times blocks of normally distributed numbers, of the demo's shape and of larger ones. */
    private static void appendTimes(StringBuilder tables) {
        tables.append(
                "### Microseconds a block\n\n| shape | type | KB | codec | compress | restore |\n"
                        + "|---|---|---|---|---|---|\n");
        int[][] shapes = {{4, 4, 32}, {24, 2, 64}, {32, 8, 128}};
        String[] names = {"demo", "Qwen2 0.5B", "Llama 3 8B"};
        for (int i = 0; i < shapes.length; ++i) {
            for (ElementType type : List.of(ElementType.FLOAT32, ElementType.BFLOAT16)) {
                int[] s = shapes[i];
                KvBlockShape shape = new KvBlockShape(s[0], s[1], s[2], POSITIONS, type);
                byte[] block = random(shape);
                for (Kind kind : KINDS.subList(0, Math.min(5, KINDS.size()))) {
                    if (kind.saves(type) && kind.pruned != 0.1) {
                        tables.append(times(names[i], shape, kind, block));
                    }
                }
            }
        }
    }

    private static String times(String name, KvBlockShape shape, Kind kind, byte[] block) {
        KvCodec codec = kind.compression.codec(shape, kind.pruned);
        byte[] encoded = new byte[codec.mostBytes()];
        byte[] restored = block.clone();
        long[] compress = new long[2 * ROUNDS];
        long[] restore = new long[2 * ROUNDS];
        for (int i = 0; i < 2 * ROUNDS; ++i) {
            long start = System.nanoTime();
            int length = codec.encode(block, encoded);
            long middle = System.nanoTime();
            codec.decode(encoded, length, restored);
            compress[i] = middle - start;
            restore[i] = System.nanoTime() - middle;
        }
        return format(
                "| %s | %s | %,d | %s | %,.0f | %,.0f |%n",
                name,
                shape.type(),
                shape.bytes() / 1024,
                kind.label(),
                median(compress) / 1e3,
                median(restore) / 1e3);
    }

    /** Returns the median of the last half. */
    private static double median(long[] nanos) {
        Arrays.sort(nanos, ROUNDS, 2 * ROUNDS);
        return nanos[ROUNDS + ROUNDS / 2];
    }

    private static byte[] random(KvBlockShape shape) {
        Random random = new Random(1);
        ByteBuffer wide =
                ByteBuffer.allocate(shape.elements() * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < shape.elements(); ++i) {
            wide.putFloat((float) random.nextGaussian());
        }
        byte[] block = new byte[(int) shape.bytes()];
        ElementConverter.convert(
                wide.flip(), ElementType.FLOAT32, ByteBuffer.wrap(block), shape.type());
        return block;
    }

    private static String format(String format, Object... values) {
        return String.format(Locale.ROOT, format, values);
    }
}
