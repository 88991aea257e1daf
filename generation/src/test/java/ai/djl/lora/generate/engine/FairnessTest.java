/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.lora.generate.GenerationRequest;
import ai.djl.lora.generate.sampling.Sampler;
import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.generate.sampling.SamplingWorkspace;
import ai.djl.lora.op.SequenceStart;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import org.testng.Assert;
import org.testng.annotations.Test;

/** The queue under a simulated clock: steps of a millisecond, a few places, sequences of steps. */
public class FairnessTest {

    private static final long STEP = Duration.ofMillis(1).toNanos();
    private static final int PLACES = 4;
    private static final int STEPS_EACH = 8;

    private final Deque<Sequence> running = new ArrayDeque<>();
    private final Map<Sequence, Integer> left = new HashMap<>();
    private final Map<Sequence, Long> begun = new HashMap<>();
    private final List<Sequence> order = new ArrayList<>();
    private FairQueue queue;
    private long now;
    private long lastId;

    private void start(Duration maxWait, Map<String, Double> weights) {
        queue =
                new FairQueue(
                        maxWait.toNanos(),
                        tenant -> weights.getOrDefault(tenant, 1.0),
                        adapter -> weights.getOrDefault(adapter, 1.0));
        running.clear();
        left.clear();
        begun.clear();
        order.clear();
        now = 0;
        lastId = 0;
    }

    private Sequence arrive(String tenant, String adapter, int priority) {
        SamplingParameters sampling = SamplingParameters.greedy(STEPS_EACH);
        Submission submission =
                Submission.builder(new GenerationRequest(new int[] {1}, adapter, sampling))
                        .optTenant(tenant)
                        .optPriority(priority)
                        .build();
        Sampler sampler = new Sampler(sampling, Set.of(), null, new SamplingWorkspace());
        SequenceGroup group =
                new SequenceGroup(
                        submission, new AnswerGroup(sampling, () -> {}), SequenceStart.ANY, now);
        Sequence sequence = new Sequence(++lastId, group, 0, sampler, 100);
        queue.arrive(sequence);
        return sequence;
    }

    /** Fills the free places and runs a step; places come free one step after the other. */
    private void step() {
        now += STEP;
        Sequence next;
        while (running.size() < PLACES && (next = queue.next(now, s -> true)) != null) {
            queue.start(next);
            begun.put(next, now);
            order.add(next);
            left.put(next, STEPS_EACH);
            running.add(next);
        }
        for (Sequence sequence : List.copyOf(running)) {
            queue.charge(sequence, 2);
            if (left.merge(sequence, -1, Integer::sum) == 0) {
                running.remove(sequence);
                queue.leave(sequence, true);
            }
        }
    }

    @Test
    public void aTenantWithAThousandRequestsDoesNotKeepAnotherWaiting() {
        start(Duration.ofHours(1), Map.of());
        for (int i = 0; i < 1_000; ++i) {
            arrive("crowd", "", 0);
        }
        SplittableRandom random = new SplittableRandom(4);
        for (int i = 0; i < 20; ++i) {
            for (int steps = random.nextInt(1, 30); steps > 0; --steps) {
                step();
            }
            Sequence other = arrive("other", "", 0);
            int afterFree = 0;
            while (!begun.containsKey(other)) {
                boolean free = running.size() < PLACES;
                step();
                afterFree += free ? 1 : 0;
            }
            // the step that finds the place free begins it
            Assert.assertTrue(afterFree <= 1, afterFree + " steps after a place came free");
        }
    }

    @Test
    public void tenantsShareByTheirWeights() {
        start(Duration.ofHours(1), Map.of("large", 3.0));
        for (int i = 0; i < 400; ++i) {
            arrive("large", "", 0);
            arrive("small", "", 0);
        }
        for (int i = 0; i < 800; ++i) {
            step();
        }
        long large = order.stream().filter(s -> s.submission().tenant().equals("large")).count();
        // of 400 begun 300, but for the places that run
        Assert.assertEquals((double) large / order.size(), 0.75, 0.02);
    }

    @Test
    public void adaptersShareWhatTheirTenantHas() {
        start(Duration.ofHours(1), Map.of());
        for (int i = 0; i < 300; ++i) {
            arrive("one", "popular", 0);
        }
        for (int i = 0; i < 30; ++i) {
            arrive("one", "rare", 0);
        }
        for (int i = 0; i < 120; ++i) {
            step();
        }
        long rare = order.stream().filter(s -> s.request().adapter().equals("rare")).count();
        Assert.assertEquals(rare, 30, 2);
    }

    @Test
    public void nothingStarvesBehindHigherPriorities() {
        Duration maxWait = Duration.ofMillis(100);
        start(maxWait, Map.of());
        Sequence low = arrive("low", "", -5);
        int step = 0;
        while (!begun.containsKey(low)) {
            for (int i = 0; i < PLACES; ++i) {
                arrive("high", "", 5);
            }
            step();
            Assert.assertTrue(++step < 200, "it starves");
        }
        // The limit, and then at most the steps of the sequence whose place it takes. Of those that
        // were overdue before it there are none, since it came first.
        long most = maxWait.toNanos() + (STEPS_EACH + 1) * STEP;
        Assert.assertTrue(begun.get(low) <= most, begun.get(low) + " of " + most);
        Assert.assertTrue(begun.get(low) > maxWait.toNanos() / 2, "priorities do nothing");
    }

    @Test
    public void whoComesBackFindsNoCredit() {
        start(Duration.ofHours(1), Map.of());
        for (int i = 0; i < 500; ++i) {
            arrive("busy", "", 0);
        }
        for (int i = 0; i < 400; ++i) {
            step();
        }
        for (int i = 0; i < 100; ++i) {
            arrive("back", "", 0);
        }
        order.clear();
        for (int i = 0; i < 80; ++i) {
            step();
        }
        long back = order.stream().filter(s -> s.submission().tenant().equals("back")).count();
        // with credit for the time it was away it would have all places
        Assert.assertEquals((double) back / order.size(), 0.5, 0.1);
    }

    @Test
    public void whatLostItsPlaceComesFirst() {
        start(Duration.ofHours(1), Map.of());
        for (int i = 0; i < 10; ++i) {
            arrive("crowd", "", 3);
        }
        step();
        Sequence preempted = running.peekLast();
        Assert.assertNotNull(preempted);
        running.remove(preempted);
        preempted.preempt();
        queue.putBack(preempted);
        Assert.assertSame(queue.next(now, s -> true), preempted);
    }
}
