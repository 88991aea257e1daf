/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.replica;

import ai.djl.lora.LoraConfigurationException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.testng.Assert;
import org.testng.annotations.Test;

/** Tests which replica gets a request, without any. */
public class ReplicaBalancerTest {

    private static List<ReplicaLoad> loads(int... answers) {
        return IntStream.range(0, answers.length)
                .mapToObj(i -> new ReplicaLoad(i, answers[i]))
                .toList();
    }

    private static ReplicaRequest of(String session, String adapter) {
        return new ReplicaRequest(session, adapter, 1);
    }

    private static int choose(ReplicaBalancer balancer, ReplicaRequest request, int... answers) {
        return balancer.choose(request, loads(answers)).replica();
    }

    @Test
    public void testLeastLoaded() {
        ReplicaBalancer balancer = new LeastLoaded();
        Assert.assertEquals(choose(balancer, of("", "a"), 3, 2, 4), 1);
        Assert.assertEquals(choose(balancer, of("", "a"), 0, 5, 1), 0);
        int[] given = new int[3];
        for (int i = 0; i < 9; ++i) {
            ++given[choose(balancer, of("", "a"), 7, 7, 7)];
        }
        Assert.assertEquals(given, new int[] {3, 3, 3});
        // the one that is next in turn has gone
        Assert.assertEquals(
                balancer.choose(of("", ""), List.of(new ReplicaLoad(2, 1))).replica(), 2);
        Assert.assertEquals(choose(balancer, of("", ""), 0, 0, 0), 0);
    }

    @Test
    public void testKeysAreSpreadEvenly() {
        int keys = 30_000;
        int[] given = new int[5];
        for (int i = 0; i < keys; ++i) {
            ++given[Rendezvous.order("session-" + i, loads(0, 0, 0, 0, 0)).get(0).replica()];
        }
        for (int each : given) {
            // the standard deviation is 69 where keys are independent
            Assert.assertEquals(each, keys / 5.0, 300.0);
        }
    }

    @Test
    public void testWhoGoesTakesNoOthersAlong() {
        List<ReplicaLoad> all = loads(0, 0, 0, 0, 0);
        List<ReplicaLoad> left = new ArrayList<>(all);
        left.remove(2);
        int keys = 20_000;
        int[] moved = new int[5];
        for (int i = 0; i < keys; ++i) {
            String key = "adapter-" + i;
            int before = Rendezvous.order(key, all).get(0).replica();
            int after = Rendezvous.order(key, left).get(0).replica();
            if (before == 2) {
                ++moved[after];
                Assert.assertEquals(after, Rendezvous.order(key, all).get(1).replica());
            } else {
                Assert.assertEquals(after, before, key);
            }
        }
        for (int i : new int[] {0, 1, 3, 4}) {
            // of 4,000 keys, with a standard deviation of 27
            Assert.assertEquals(moved[i], keys / 20.0, 150.0);
        }
    }

    @Test
    public void testLoadsAreBounded() {
        for (double factor : new double[] {1.1, 1.25, 2}) {
            ReplicaBalancer balancer = new AdapterAffine(factor);
            SplittableRandom random = new SplittableRandom(1);
            int[] answers = new int[5];
            for (int all = 1; all <= 2_000; ++all) {
                // half of all requests are for one adapter
                String adapter = random.nextBoolean() ? "hot" : "cold-" + random.nextInt(50);
                int chosen = choose(balancer, of("", adapter), answers);
                ++answers[chosen];
                double capacity = Math.ceil(factor * all / answers.length);
                Assert.assertTrue(answers[chosen] <= capacity, answers[chosen] + " of " + all);
            }
        }
    }

    @Test
    public void testAdaptersStayInFewReplicas() {
        ReplicaBalancer balancer = new AdapterAffine(AdapterAffine.DEFAULT_LOAD_FACTOR);
        SplittableRandom random = new SplittableRandom(2);
        int[] answers = new int[4];
        int home = 0;
        int requests = 20_000;
        Deque<Integer> running = new ArrayDeque<>();
        for (int i = 0; i < requests; ++i) {
            String adapter = "adapter-" + random.nextInt(200);
            int chosen = choose(balancer, of("", adapter), answers);
            ++answers[chosen];
            home += chosen == Rendezvous.order(adapter, loads(answers)).get(0).replica() ? 1 : 0;
            running.add(chosen);
            if (running.size() > 64) {
                --answers[running.remove()];
            }
        }
        // by chance it would be a quarter of them
        Assert.assertTrue(home > 0.8 * requests, home + " of " + requests);
    }

    @Test
    public void testBusyHomeIsLeftForTheNextInOrder() {
        ReplicaBalancer balancer = new AdapterAffine(1.25);
        List<ReplicaLoad> order = Rendezvous.order("a", loads(0, 0, 0));
        int[] answers = {4, 4, 4};
        answers[order.get(0).replica()] = 8;
        Assert.assertEquals(choose(balancer, of("", "a"), answers), order.get(1).replica());
        answers[order.get(0).replica()] = 4;
        Assert.assertEquals(choose(balancer, of("", "a"), answers), order.get(0).replica());
        // more answers than a replica's share
        Assert.assertEquals(
                balancer.choose(new ReplicaRequest("", "a", 100), loads(3, 1, 2)).replica(), 1);
        Set<Integer> base = new HashSet<>();
        for (int i = 0; i < 3; ++i) {
            base.add(choose(balancer, of("", ""), 0, 0, 0));
        }
        Assert.assertEquals(base, Set.of(0, 1, 2), "the base model's requests");
    }

    @Test
    public void testSessionsStay() {
        ReplicaBalancer balancer = new SessionAffine(new LeastLoaded());
        int home = choose(balancer, of("anna", "a"), 0, 0, 0);
        int[] busy = new int[3];
        busy[home] = 1_000;
        Assert.assertEquals(choose(balancer, of("anna", "b"), busy), home);
        Assert.assertNotEquals(choose(balancer, of("", "a"), busy), home);
        Set<Integer> homes = new HashSet<>();
        for (int i = 0; i < 100; ++i) {
            homes.add(choose(balancer, of("session-" + i, ""), 0, 0, 0));
        }
        Assert.assertEquals(homes, Set.of(0, 1, 2));
    }

    @Test
    public void testRefusals() {
        Assert.assertThrows(LoraConfigurationException.class, () -> ReplicaOptions.of(0));
        Assert.assertThrows(LoraConfigurationException.class, () -> ReplicaOptions.of(65));
        for (double factor : new double[] {1, 0, -2, Double.NaN, Double.POSITIVE_INFINITY}) {
            var refusal =
                    Assert.expectThrows(
                            LoraConfigurationException.class, () -> new AdapterAffine(factor));
            Assert.assertTrue(refusal.getMessage().contains("loadFactor is " + factor));
        }
    }
}
