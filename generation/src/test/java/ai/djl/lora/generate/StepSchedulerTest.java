/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate;

import ai.djl.lora.generate.sampling.SamplingParameters;
import ai.djl.lora.generate.sampling.SamplingWorkspace;
import ai.djl.lora.op.AdapterMix;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.testng.Assert;
import org.testng.annotations.Test;

public class StepSchedulerTest {

    private static final float[] LOGITS = {0, 1};

    @Test
    public void testPromptsGoFirstWithinTheBudgetAndSortedBySlot() {
        List<Sequence> sequences =
                List.of(
                        sequence(0, 4, 2, 2),
                        sequence(1, 3, -1, 1),
                        sequence(2, 9, 0, 2),
                        sequence(3, 1, 2, 1));
        try (StepScheduler scheduler = new StepScheduler(sequences, 8, 100)) {
            // Slots -1, 0, 2, 2: the prompt of 9 does not fit behind the one of 3, nor in a budget.
            Assert.assertEquals(step(scheduler), "prefill 1");
            Assert.assertEquals(step(scheduler), "prefill 2");
            Assert.assertEquals(step(scheduler), "prefill 0 3");
            Assert.assertEquals(step(scheduler), "decode 2 0");
            Assert.assertFalse(scheduler.hasWork());
        }
    }

    @Test
    public void testVirtualTokensCountInTheBudget() {
        List<Sequence> sequences =
                List.of(sequence(0, 3, 0, 1, 2), sequence(1, 3, 1, 1, 0), sequence(2, 3, 2, 1, 3));
        try (StepScheduler scheduler = new StepScheduler(sequences, 8, 100)) {
            // five and three positions, and six that do not fit behind them
            Assert.assertEquals(step(scheduler), "prefill 0 1");
            Assert.assertEquals(step(scheduler), "prefill 2");
            Assert.assertFalse(scheduler.hasWork());
        }
    }

    @Test
    public void testRowsThatFinishMakePlace() {
        List<Sequence> sequences =
                List.of(sequence(0, 1, 1, 3), sequence(1, 1, 1, 2), sequence(2, 1, 0, 2));
        try (StepScheduler scheduler = new StepScheduler(sequences, 100, 2)) {
            Assert.assertEquals(step(scheduler), "prefill 2 0");
            Assert.assertEquals(step(scheduler), "decode 2 0");
            Assert.assertEquals(step(scheduler), "prefill 1");
            Assert.assertEquals(step(scheduler), "decode 0 1");
            Assert.assertFalse(scheduler.hasWork());
        }
    }

    private static Sequence sequence(int index, int promptLength, int slot, int newTokens) {
        return sequence(index, promptLength, slot, newTokens, 0);
    }

    private static Sequence sequence(
            int index, int promptLength, int slot, int newTokens, int virtualTokens) {
        GenerationRequest request =
                new GenerationRequest(
                        new int[promptLength], "", SamplingParameters.greedy(newTokens));
        Sequence sequence =
                new Sequence(index, request, virtualTokens, 100, Set.of(), new SamplingWorkspace());
        sequence.lease(AdapterMix.of(slot), "revision", null);
        return sequence;
    }

    private static String step(StepScheduler scheduler) {
        StringBuilder text = new StringBuilder(scheduler.isPrefill() ? "prefill" : "decode");
        List<Sequence> step = new ArrayList<>(scheduler.schedule());
        for (Sequence sequence : step) {
            text.append(' ').append(sequence.index());
            sequence.advance(LOGITS, 0, 2);
        }
        int finished = (int) step.stream().filter(Sequence::isFinished).count();
        Assert.assertEquals(scheduler.retire(), finished);
        return text.toString();
    }
}
