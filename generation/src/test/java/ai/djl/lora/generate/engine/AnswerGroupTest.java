/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.generate.GenerationRequest;
import ai.djl.lora.generate.GenerationRequestException;
import ai.djl.lora.generate.GenerationResult;
import ai.djl.lora.generate.sampling.OutputConstraint;
import ai.djl.lora.generate.sampling.Sample;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.generate.sampling.TokenConstraint;
import ai.djl.lora.model.KvPool;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.testng.Assert;
import org.testng.annotations.AfterClass;
import org.testng.annotations.BeforeClass;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Several answers to one request. */
public class AnswerGroupTest {

    /** Two full blocks and a part of a third. */
    private static final int[] PROMPT = new int[41];

    private Path work;
    private TestModel model;

    @BeforeClass
    public void setUp() throws IOException {
        work = Files.createTempDirectory("answer-group-test");
        model = new TestModel("qwen2", "cpu", work);
        for (int i = 0; i < PROMPT.length; ++i) {
            PROMPT[i] = 3 + i * 7 % 90;
        }
    }

    @AfterClass
    public void tearDown() throws IOException {
        model.close();
        try (Stream<Path> files = Files.walk(work)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }

    private static SamplingParameters.Builder sampling(int seed) {
        return SamplingParameters.builder()
                .temperature(1.5)
                .topP(0.95)
                .frequencyPenalty(0.3)
                .seed(seed)
                .maxNewTokens(12);
    }

    private static Submission submission(String adapter, SamplingParameters sampling) {
        return Submission.of(new GenerationRequest(PROMPT, adapter, sampling));
    }

    private GenerationEngine engine(EngineOptions.Builder options) {
        return new GenerationEngine(model.block(), options.build());
    }

    /** Answers each of the requests' seeds by a request of its own, in an engine of its own. */
    private List<int[]> alone(String adapter, SamplingParameters sampling) {
        List<int[]> answers = new ArrayList<>();
        try (GenerationEngine engine = engine(EngineOptions.builder().optPrefixCaching(false))) {
            for (int i = 0; i < sampling.bestOf(); ++i) {
                SamplingParameters one =
                        sampling.toBuilder().n(1).bestOf(1).seed(sampling.choiceSeed(i)).build();
                answers.add(engine.answer(List.of(submission(adapter, one))).get(0).tokens());
            }
        }
        return answers;
    }

    @DataProvider
    public Object[][] engines() {
        long block = KvPool.bytesPerBlock(model.block());
        return new Object[][] {
            {"as it comes", EngineOptions.builder()},
            {"no prefix caching", EngineOptions.builder().optPrefixCaching(false)},
            {"one at a time", EngineOptions.builder().optMaxSequences(1)},
            {
                "small steps and little memory",
                EngineOptions.builder()
                        .optMaxTokensPerStep(9)
                        .optKvBytes(9 * block)
                        .optPrefixCaching(false)
            },
            {"drafts", EngineOptions.builder().optSpeculationSequences(100)},
        };
    }

    @Test(dataProvider = "engines")
    public void answersAreThoseOfRequestsWithTheirSeeds(
            String name, EngineOptions.Builder options) {
        List<Submission> submissions = new ArrayList<>();
        List<List<int[]>> expected = new ArrayList<>();
        String[] adapters = {"golden", "", "rank-3", "golden"};
        for (int i = 0; i < adapters.length; ++i) {
            SamplingParameters parameters = sampling(i).n(1 + 2 * i).build();
            submissions.add(submission(adapters[i], parameters));
            expected.add(alone(adapters[i], parameters));
        }
        try (GenerationEngine engine = engine(options)) {
            List<List<GenerationResult>> answers = engine.answerAll(submissions);
            for (int i = 0; i < adapters.length; ++i) {
                Assert.assertEquals(answers.get(i).size(), 1 + 2 * i);
                Set<String> texts = new HashSet<>();
                for (int k = 0; k < answers.get(i).size(); ++k) {
                    GenerationResult answer = answers.get(i).get(k);
                    Assert.assertEquals(answer.index(), k);
                    Assert.assertEquals(answer.adapter(), adapters[i]);
                    Assert.assertEquals(answer.tokens(), expected.get(i).get(k), name);
                    texts.add(Arrays.toString(answer.tokens()));
                }
                Assert.assertTrue(texts.size() > i, "answers that are all alike");
            }
            Assert.assertEquals(engine.statistics().usedKvBlocks(), 0);
            if (name.startsWith("small")) {
                Assert.assertTrue(engine.statistics().preemptions() > 0);
            }
        }
    }

    @Test
    public void thePromptIsRunOnce() {
        for (boolean caching : new boolean[] {true, false}) {
            EngineOptions.Builder options =
                    EngineOptions.builder().optPrefixCaching(caching).optSpeculation(false);
            try (GenerationEngine engine = engine(options)) {
                engine.answerAll(List.of(submission("golden", sampling(1).n(6).build())));
                // five more run what lies behind the two full blocks
                Assert.assertEquals(
                        engine.statistics().promptTokens(),
                        PROMPT.length + 5 * (PROMPT.length - 32),
                        "caching " + caching);
                Assert.assertEquals(engine.statistics().cachedTokens(), 5 * 32);
                Assert.assertEquals(engine.statistics().usedKvBlocks(), 0);
            }
        }
    }

    @Test
    public void everyAnswerHasItsOwnStreamAndStopCondition() {
        Map<Integer, List<Integer>> seen = new TreeMap<>();
        Submission submission =
                Submission.builder(
                                new GenerationRequest(
                                        PROMPT, "golden", sampling(3).n(4).ignoreEos(true).build()))
                        .optStops(
                                answer -> {
                                    List<Integer> own = new ArrayList<>();
                                    seen.put(answer, own);
                                    return token -> {
                                        own.add(token);
                                        return own.size() == 3 + answer;
                                    };
                                })
                        .build();
        try (GenerationEngine engine = engine(EngineOptions.builder())) {
            AnswerGroup group = engine.submitGroup(submission);
            List<GenerationResult> results = group.join();
            for (int i = 0; i < 4; ++i) {
                List<Integer> streamed = new ArrayList<>();
                group.answers().get(i).forEach(token -> streamed.add(token.token()));
                Assert.assertEquals(streamed.size(), 3 + i);
                Assert.assertEquals(seen.get(i), streamed);
                Assert.assertEquals(
                        results.get(i).tokens(),
                        streamed.stream().mapToInt(Integer::intValue).toArray());
                Assert.assertEquals(
                        group.answers().get(i).join().tokens(), results.get(i).tokens());
            }
        }
    }

    @Test
    public void theBestAreThoseOfTheGreatestProbability() {
        SamplingParameters all = sampling(9).n(8).logProbs(2).build();
        try (GenerationEngine engine = engine(EngineOptions.builder())) {
            List<GenerationResult> every =
                    engine.answerAll(List.of(submission("golden", all))).get(0);
            List<double[]> order = new ArrayList<>();
            for (GenerationResult answer : every) {
                double sum = 0;
                Assert.assertEquals(answer.samples().size(), answer.tokens().length);
                for (int i = 0; i < answer.tokens().length; ++i) {
                    Sample sample = answer.samples().get(i);
                    Assert.assertEquals(sample.token(), answer.tokens()[i]);
                    Assert.assertEquals(sample.top().size(), 2);
                    sum += sample.logProb();
                }
                Assert.assertEquals(answer.logProb(), sum, 1e-9);
                order.add(new double[] {-sum, answer.index()});
            }
            order.sort(Comparator.comparingDouble(each -> each[0]));
            AnswerGroup group =
                    engine.submitGroup(submission("golden", sampling(9).n(3).bestOf(8).build()));
            Assert.expectThrows(IllegalStateException.class, group::answers);
            List<GenerationResult> best = group.join();
            Assert.assertEquals(best.size(), 3);
            for (int i = 0; i < 3; ++i) {
                int index = (int) order.get(i)[1];
                Assert.assertEquals(best.get(i).index(), index);
                Assert.assertEquals(best.get(i).tokens(), every.get(index).tokens());
                Assert.assertEquals(best.get(i).samples(), List.of());
            }
            // nobody asked how likely it is
            GenerationResult plain =
                    engine.submit(submission("golden", sampling(9).build())).join();
            Assert.assertTrue(Double.isNaN(plain.logProb()));
        }
    }

    @Test
    public void severalAnswersNeedAGroup() {
        try (GenerationEngine engine = engine(EngineOptions.builder())) {
            Submission two = submission("", sampling(0).n(2).build());
            GenerationRequestException e =
                    Assert.expectThrows(GenerationRequestException.class, () -> engine.submit(two));
            Assert.assertEquals(
                    e.getMessage(),
                    "requests[0]: bestOf is 2; it must be 1 where each request has one answer"
                            + " (submitGroup and answerAll give several)");
            Assert.expectThrows(
                    GenerationRequestException.class, () -> engine.answer(List.of(two)));
        }
    }

    /** Holds an engine behind a step. */
    private static final class Gate implements EngineRecorder {

        private final AtomicInteger steps = new AtomicInteger();
        private final AtomicInteger failed = new AtomicInteger();
        private final CountDownLatch reached = new CountDownLatch(1);
        private final CountDownLatch open = new CountDownLatch(1);
        private final int at;

        Gate(int at) {
            this.at = at;
        }

        @Override
        public void failed(String adapter, Throwable reason) {
            failed.incrementAndGet();
        }

        @Override
        public void step(EngineStatistics statistics, long nanos) {
            if (steps.incrementAndGet() == at) {
                reached.countDown();
                try {
                    Assert.assertTrue(open.await(30, TimeUnit.SECONDS));
                } catch (InterruptedException e) {
                    throw new IllegalStateException(e);
                }
            }
        }
    }

    @DataProvider
    public Object[][] moments() {
        // while the prompt is run, when the others are to begin, and when all run
        return new Object[][] {{1}, {5}, {8}};
    }

    @Test(dataProvider = "moments")
    public void cancellingEndsAllAnswers(int step) throws Exception {
        Gate gate = new Gate(step);
        try (GenerationEngine engine =
                engine(EngineOptions.builder().optMaxTokensPerStep(10).optRecorder(gate))) {
            AnswerGroup group =
                    engine.submitGroup(
                            submission(
                                    "golden",
                                    sampling(1).n(5).ignoreEos(true).maxNewTokens(40).build()));
            GenerationHandle other = engine.submit(submission("", sampling(1).build()));
            Assert.assertTrue(gate.reached.await(30, TimeUnit.SECONDS));
            if (step == 1) {
                group.cancel();
            } else {
                group.answers().get(3).cancel();
            }
            gate.open.countDown();
            Assert.expectThrows(CancellationException.class, group::join);
            for (GenerationHandle handle : group.answers()) {
                Assert.expectThrows(CancellationException.class, handle::join);
            }
            Assert.assertTrue(other.join().tokens().length > 0);
            Assert.assertTrue(engine.drain(Duration.ofSeconds(30)));
            Assert.assertEquals(engine.statistics().usedKvBlocks(), 0);
            Assert.assertEquals(engine.statistics().waiting(), 0);
            Assert.assertEquals(engine.statistics().running(), 0);
            Assert.assertEquals(gate.failed.get(), 1);
        }
    }

    @Test
    public void oneAnswersFailureIsTheRequests() throws Exception {
        Submission bad =
                Submission.builder(
                                new GenerationRequest(
                                        PROMPT, "golden", sampling(3).n(4).ignoreEos(true).build()))
                        .optStops(
                                answer -> {
                                    AtomicInteger tokens = new AtomicInteger();
                                    return token -> {
                                        if (answer == 2 && tokens.incrementAndGet() == 4) {
                                            throw new UnsupportedOperationException("no");
                                        }
                                        return answer == 0;
                                    };
                                })
                        .build();
        try (GenerationEngine engine = engine(EngineOptions.builder())) {
            AnswerGroup group = engine.submitGroup(bad);
            GenerationHandle other = engine.submit(submission("golden", sampling(4).build()));
            Assert.expectThrows(UnsupportedOperationException.class, group::join);
            // the one that had its answer by then keeps it
            Assert.assertEquals(group.answers().get(0).join().tokens().length, 1);
            for (int i = 1; i < 4; ++i) {
                Assert.expectThrows(
                        UnsupportedOperationException.class, group.answers().get(i)::join);
            }
            Assert.assertTrue(other.join().tokens().length > 0);
            Assert.assertTrue(engine.drain(Duration.ofSeconds(30)));
            Assert.assertEquals(engine.statistics().usedKvBlocks(), 0);
        }
    }

    /** Allows one token, again and again, up to where nothing may follow and nothing may end. */
    private static final class DeadEnd implements TokenConstraint {

        private int taken;

        @Override
        public void fillMask(long[] mask) {
            Arrays.fill(mask, 0);
            mask[0] = taken < 3 ? 1L << 7 : 0;
        }

        @Override
        public boolean mayEnd() {
            return false;
        }

        @Override
        public boolean isComplete() {
            return false;
        }

        @Override
        public void accept(int token) {
            Assert.assertEquals(token, 7);
            ++taken;
        }
    }

    @Test
    public void aConstraintThatLeadsNowhereFailsItsOwnRequestAlone() {
        SamplingParameters constrained =
                sampling(0).n(2).constraint(new OutputConstraint.JsonObject()).build();
        Submission lost =
                Submission.builder(new GenerationRequest(PROMPT, "golden", constrained))
                        .optConstraint(DeadEnd::new)
                        .build();
        try (GenerationEngine engine = engine(EngineOptions.builder())) {
            AnswerGroup group = engine.submitGroup(lost);
            GenerationHandle other =
                    engine.submit(submission("golden", sampling(0).ignoreEos(true).build()));
            LoraConfigurationException e =
                    Assert.expectThrows(LoraConfigurationException.class, group::join);
            Assert.assertEquals(
                    e.getMessage(),
                    "the constraint allows no token of the vocabulary after 3 new tokens; the"
                            + " vocabulary must be able to write its texts");
            Assert.assertEquals(other.join().tokens().length, 12);
        }
    }

    /** A deadline is for the first step of the request, not of each of its answers. */
    @Test
    public void answersThatWaitForAPlaceHaveMetTheDeadline() throws Exception {
        AtomicLong clock = new AtomicLong();
        EngineRecorder slow =
                new EngineRecorder() {
                    @Override
                    public void step(EngineStatistics statistics, long nanos) {
                        clock.addAndGet(Duration.ofSeconds(1).toNanos());
                    }
                };
        EngineOptions.Builder options =
                EngineOptions.builder().optMaxSequences(1).optTicker(clock::get).optRecorder(slow);
        try (GenerationEngine engine = engine(options)) {
            AnswerGroup group =
                    engine.submitGroup(
                            Submission.builder(
                                            new GenerationRequest(
                                                    PROMPT, "", sampling(3).n(3).build()))
                                    .optDeadline(Duration.ofMillis(500))
                                    .build());
            Assert.assertEquals(group.join().size(), 3);
        }
    }

    @Test
    public void closingEndsGroupsWhateverTheyAreAt() throws Exception {
        Gate gate = new Gate(2);
        GenerationEngine engine =
                engine(
                        EngineOptions.builder()
                                .optMaxTokensPerStep(10)
                                .optMaxSequences(1)
                                .optRecorder(gate));
        AnswerGroup begun = engine.submitGroup(submission("", sampling(1).n(3).build()));
        Assert.assertTrue(gate.reached.await(30, TimeUnit.SECONDS));
        AnswerGroup fresh = engine.submitGroup(submission("golden", sampling(1).n(3).build()));
        Thread closing = new Thread(engine::close);
        closing.start();
        gate.open.countDown();
        closing.join();
        Assert.expectThrows(CancellationException.class, begun::join);
        Assert.expectThrows(CancellationException.class, fresh::join);
        Assert.assertTrue(fresh.answers().stream().allMatch(handle -> handle.result().isDone()));
        Assert.assertTrue(engine.drain(Duration.ofSeconds(1)));
    }
}
