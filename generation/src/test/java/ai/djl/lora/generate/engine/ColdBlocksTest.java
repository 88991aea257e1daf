/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.lora.LoraMemoryException;
import ai.djl.lora.generate.GenerationRequest;
import ai.djl.lora.generate.kv.KvCodec;
import ai.djl.lora.generate.kv.KvCompression;
import ai.djl.lora.generate.sampling.Sampler;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.generate.sampling.SamplingWorkspace;
import ai.djl.lora.model.KvCache;
import ai.djl.lora.model.KvPool;
import ai.djl.lora.op.SequenceStart;
import ai.djl.ndarray.NDManager;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.testng.Assert;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.Test;

/** Blocks that leave a pool and come back, with contents that tell whose they are. */
public class ColdBlocksTest {

    private static final int BLOCKS = 12;

    private TestModel model;
    private NDManager manager;
    private KvPool pool;
    private long lastId;
    private long now;

    @BeforeMethod
    public void setUp() throws Exception {
        model = new TestModel(TestModel.GOLDENS.resolve(Path.of("qwen2", "model")), "cpu");
        manager = model.block().getLoraContext().getManager().newSubManager();
        pool = model.block().newKvPool(manager, BLOCKS);
        lastId = 0;
        now = 0;
    }

    @AfterMethod
    public void tearDown() {
        pool.close();
        manager.close();
        model.close();
    }

    private Sequence sequence(int... tokens) {
        SamplingParameters sampling = SamplingParameters.greedy(1);
        Submission submission =
                Submission.builder(new GenerationRequest(tokens, "", sampling)).build();
        AnswerGroup answers = new AnswerGroup(sampling, () -> {});
        SequenceGroup group = new SequenceGroup(submission, answers, SequenceStart.ANY, 0);
        Sampler sampler = new Sampler(sampling, Set.of(), null, new SamplingWorkspace());
        Sequence sequence = new Sequence(++lastId, group, 0, sampler, 1_000);
        group.add(sequence);
        return sequence;
    }

    private KvCodec lossless() {
        return KvCompression.LOSSLESS.codec(pool.blockShape(), 0);
    }

    /** Returns what the block behind all of the given tokens holds. */
    private byte[] content(int... tokens) {
        byte[] content = new byte[(int) pool.bytesPerBlock()];
        // bits of normal numbers, so that all codecs take them
        SplittableRandom random = new SplittableRandom(Arrays.hashCode(tokens));
        random.nextBytes(content);
        for (int i = 3; i < content.length; i += Float.BYTES) {
            content[i] = 0x3f;
        }
        return content;
    }

    private byte[] read(int block) {
        byte[] found = new byte[(int) pool.bytesPerBlock()];
        pool.readBlock(block, found);
        return found;
    }

    private int[] begin(Sequence sequence, BlockManager blocks, int restores) {
        sequence.setCache(pool.newCache(blocks));
        int[] known = blocks.adopt(sequence, restores);
        sequence.cache().adopt(known);
        sequence.setComputed(known.length * KvPool.BLOCK_POSITIONS);
        for (int i = 0; i < known.length; ++i) {
            int[] tokens = sequence.tokens(0, (i + 1) * KvPool.BLOCK_POSITIONS);
            Assert.assertEquals(read(known[i]), content(tokens), "block " + i);
        }
        return known;
    }

    /** Runs tokens of a sequence, which fills blocks. */
    private void run(Sequence sequence, int count, BlockManager blocks) {
        sequence.cache().reserve(sequence.computed() + count);
        int full = sequence.computed() / KvPool.BLOCK_POSITIONS;
        sequence.setComputed(sequence.computed() + count);
        for (; full < sequence.computed() / KvPool.BLOCK_POSITIONS; ++full) {
            int[] tokens = sequence.tokens(0, (full + 1) * KvPool.BLOCK_POSITIONS);
            pool.writeBlock(sequence.cache().block(full), content(tokens));
        }
        blocks.keep(sequence);
    }

    /** Runs a prompt and ends it. */
    private void serve(Sequence sequence, BlockManager blocks) {
        begin(sequence, blocks, BLOCKS);
        run(sequence, sequence.length() - sequence.computed(), blocks);
        sequence.release();
    }

    private static int[] tokens(int first, int count) {
        return IntStream.range(first, first + count).toArray();
    }

    @Test
    public void aPoolKeepsMoreThanItHolds() {
        long copies = 30 * pool.bytesPerBlock();
        try (ColdBlocks cold = new ColdBlocks(pool, lossless(), copies)) {
            BlockManager blocks = new BlockManager(BLOCKS, true, cold, 100, () -> now);
            for (int i = 0; i < 10; ++i) {
                serve(sequence(tokens(100 * i, 3 * KvPool.BLOCK_POSITIONS + 1)), blocks);
            }
            // ten prompts of three full blocks, in a pool of twelve
            Assert.assertEquals(blocks.evictions(), 0);
            for (int i = 0; i < 10; ++i) {
                Sequence again = sequence(tokens(100 * i, 3 * KvPool.BLOCK_POSITIONS + 1));
                Assert.assertEquals(begin(again, blocks, BLOCKS).length, 3);
                again.release();
            }
            Assert.assertTrue(cold.restores() >= 18, "restores " + cold.restores());
        }
    }

    @Test
    public void whatIsUnusedForLongEnoughIsPutAway() {
        try (ColdBlocks cold = new ColdBlocks(pool, lossless(), 30 * pool.bytesPerBlock())) {
            BlockManager blocks = new BlockManager(BLOCKS, true, cold, 100, () -> now);
            Assert.assertEquals(blocks.nanosToNext(now), Long.MAX_VALUE);
            int[] prompt = tokens(0, 33);
            serve(sequence(prompt), blocks);
            now = 99;
            Assert.assertEquals(blocks.nanosToNext(now), 1);
            Assert.assertFalse(blocks.putAway(now));
            now = 100;
            Assert.assertTrue(blocks.putAway(now));
            Assert.assertTrue(blocks.putAway(now));
            Assert.assertFalse(blocks.putAway(now));
            Assert.assertEquals(blocks.cached(), 0);
            Assert.assertEquals(blocks.used(), 0);
            Assert.assertEquals(cold.size(), 2);
            // no more than may be restored at a time is
            Sequence again = sequence(prompt);
            Assert.assertEquals(blocks.toRestore(again), 2);
            Assert.assertEquals(begin(again, blocks, 1).length, 1);
            Assert.assertEquals(blocks.toRestore(again), 1);
            again.release();
            // what was restored and is put away again is not compressed again
            now = 200;
            Assert.assertTrue(blocks.putAway(now));
            Assert.assertEquals(cold.compressions(), 2);
            // what was run again takes the place of its copy
            Sequence other = sequence(prompt);
            begin(other, blocks, 0);
            run(other, prompt.length, blocks);
            Assert.assertEquals(cold.size(), 0);
            Assert.assertEquals(cold.bytes(), 0);
            other.release();
            Assert.assertEquals(blocks.cached(), 2);
        }
    }

    @Test
    public void aBlockThatCannotBeRestoredIsRunAgain() {
        KvCodec real = lossless();
        boolean[] broken = {false};
        KvCodec codec =
                new KvCodec() {
                    @Override
                    public String label() {
                        return real.label();
                    }

                    @Override
                    public int mostBytes() {
                        return real.mostBytes();
                    }

                    @Override
                    public int elementBytes() {
                        return real.elementBytes();
                    }

                    @Override
                    public int encode(byte[] block, byte[] target) {
                        return real.encode(block, target);
                    }

                    @Override
                    public void decode(byte[] encoded, int length, byte[] block) {
                        // what a flipped bit does to the length
                        real.decode(encoded, broken[0] ? length - 1 : length, block);
                    }
                };
        try (ColdBlocks cold = new ColdBlocks(pool, codec, 30 * pool.bytesPerBlock())) {
            BlockManager blocks = new BlockManager(BLOCKS, true, cold, 0, () -> now);
            int[] prompt = tokens(0, 65);
            serve(sequence(prompt), blocks);
            // the last two of four blocks
            Assert.assertTrue(blocks.putAway(now));
            Assert.assertTrue(blocks.putAway(now));
            broken[0] = true;
            Sequence again = sequence(prompt);
            Assert.assertEquals(begin(again, blocks, BLOCKS).length, 2);
            Assert.assertEquals(blocks.used(), 2);
            broken[0] = false;
            run(again, prompt.length - again.computed(), blocks);
            again.release();
            Assert.assertEquals(begin(sequence(prompt), blocks, BLOCKS).length, 4);
            Assert.assertEquals(blocks.used(), 4);
        }
    }

    /**
     * Many sequences over a tree of prefixes come, grow, lose their place and go, in a pool and a
     * place for copies that are short: whatever is adopted must hold what its tokens' block held.
     */
    @Test
    public void whateverIsAdoptedIsWhatItsTokensComputed() {
        for (int seed = 0; seed < 20; ++seed) {
            SplittableRandom random = new SplittableRandom(seed);
            long copies = (1 + random.nextInt(20)) * pool.bytesPerBlock();
            try (ColdBlocks cold = new ColdBlocks(pool, lossless(), copies)) {
                now = 0;
                BlockManager blocks =
                        new BlockManager(BLOCKS, true, cold, random.nextInt(50), () -> now);
                play(random, blocks, cold);
                Assert.assertTrue(cold.restores() > 0, "nothing was restored");
            }
        }
    }

    private void play(SplittableRandom random, BlockManager blocks, ColdBlocks cold) {
        List<Sequence> running = new ArrayList<>();
        for (int round = 0; round < 300; ++round) {
            now += random.nextInt(10);
            if (random.nextInt(3) == 0) {
                Sequence sequence = sequence(prompt(random));
                begin(sequence, blocks, random.nextInt(6));
                running.add(sequence);
            }
            for (Sequence sequence : List.copyOf(running)) {
                int count =
                        Math.min(1 + random.nextInt(30), sequence.length() - sequence.computed());
                try {
                    run(sequence, count, blocks);
                } catch (LoraMemoryException e) {
                    Assert.assertEquals(blocks.available(), 0);
                    count = 0;
                }
                if (count == 0 || sequence.computed() == sequence.length()) {
                    running.remove(sequence);
                    sequence.release();
                }
            }
            for (int i = random.nextInt(4); i > 0; --i) {
                blocks.putAway(now);
            }
            check(running, blocks, cold);
        }
        running.forEach(Sequence::release);
        Assert.assertEquals(blocks.used(), 0);
        Assert.assertEquals(blocks.available(), BLOCKS);
    }

    private static void check(List<Sequence> running, BlockManager blocks, ColdBlocks cold) {
        Set<Integer> used = new HashSet<>();
        for (Sequence sequence : running) {
            KvCache cache = sequence.cache();
            IntStream.range(0, cache.blockCount()).map(cache::block).forEach(used::add);
        }
        Assert.assertEquals(blocks.used(), used.size());
        Assert.assertEquals(cold.size() == 0, cold.bytes() == 0);
    }

    /** A way through a tree in which each block of tokens is followed by one of two others. */
    private static int[] prompt(SplittableRandom random) {
        int[] prompt = new int[1 + random.nextInt(5 * KvPool.BLOCK_POSITIONS)];
        int path = 0;
        for (int i = 0; i < prompt.length; ++i) {
            if (i % KvPool.BLOCK_POSITIONS == 0) {
                path = 2 * path + random.nextInt(2);
            }
            prompt[i] = path;
        }
        return prompt;
    }
}
