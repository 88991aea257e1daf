/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.Device;
import ai.djl.lora.LoraBackendException;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraFallbackException;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDManager;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import org.testng.Assert;
import org.testng.annotations.Test;

public class BackendManagerTest {

    @Test
    public void ownBackendsComeFirst() {
        BackendManager manager = BackendManager.builder().addProvider(new Failing("mine")).build();
        Assert.assertEquals(manager.current().getName(), "mine");
        Assert.assertEquals(names(manager), List.of("mine", "cpu", "cuda", "jit", "pytorch"));
        Assert.assertTrue(manager.status().get(0).chosen());
        manager.use("pytorch");
        Assert.assertEquals(manager.current().getName(), "pytorch");
    }

    @Test
    public void orderAndPreferenceAreTheUsers() {
        BackendManager manager =
                BackendManager.builder()
                        .addProvider(new Failing("mine"))
                        .optFallbackOrder(List.of("pytorch", "mine"))
                        .optPreferred("mine")
                        .build();
        Assert.assertEquals(names(manager), List.of("pytorch", "mine", "cpu", "cuda", "jit"));
        Assert.assertEquals(manager.current().getName(), "mine");
        Assert.assertThrows(
                LoraConfigurationException.class,
                () -> BackendManager.builder().optFallbackOrder(List.of("tpu")).build());
        Assert.assertThrows(
                LoraConfigurationException.class,
                () -> BackendManager.builder().addProvider(new Failing("cpu")).build());
    }

    @Test
    public void backendsOfTheCpuAreNotForModelsOnGpus() {
        BackendManager manager =
                BackendManager.builder()
                        .addProvider(new Failing("mine"))
                        .optDevice(Device.gpu(0))
                        .optFallbackOrder(List.of("cpu", "mine", "pytorch"))
                        .build();
        Assert.assertEquals(manager.current().getName(), "pytorch");
        Assert.assertEquals(
                manager.status().get(1).reason(),
                "it computes on the CPU, and the model is on gpu(0)");
        LoraBackendException e =
                Assert.expectThrows(LoraBackendException.class, () -> manager.use("mine"));
        Assert.assertEquals(
                e.getMessage(),
                "Backend mine cannot be used: it computes on the CPU, and the model is on gpu(0)");
    }

    @Test
    public void unusableBackendSaysWhy() {
        BackendProvider broken =
                new Failing("broken") {
                    @Override
                    public Optional<String> whyUnavailable() {
                        return Optional.of("no such device");
                    }
                };
        BackendManager manager = BackendManager.builder().addProvider(broken).build();
        Assert.assertNotEquals(manager.current().getName(), "broken");
        LoraBackendException e =
                Assert.expectThrows(LoraBackendException.class, () -> manager.use("broken"));
        Assert.assertEquals(e.getMessage(), "Backend broken cannot be used: no such device");
        Assert.assertEquals(manager.status().get(0).reason(), "no such device");
    }

    @Test
    public void failedStepRunsAgainOnTheNextBackend() {
        try (NDManager arrays = NDManager.newBaseManager("PyTorch")) {
            BackendManager backends =
                    BackendManager.builder()
                            .addProvider(new Failing("mine"))
                            .optFallbackOrder(List.of("mine", "pytorch"))
                            .build();
            LoraContext context = new LoraContext(backends, ElementType.FLOAT32, arrays);
            AtomicInteger runs = new AtomicInteger();
            String answer =
                    context.runStep(
                            () -> {
                                runs.incrementAndGet();
                                if (context.getBackend().getName().equals("mine")) {
                                    throw new LoraBackendException("out of order");
                                }
                                return context.getBackend().getName();
                            });
            Assert.assertEquals(answer, "pytorch");
            Assert.assertEquals(runs.get(), 2);
            Assert.assertEquals(context.getBackendStatus().get(0).failures(), 1);
            // the failed backend is not tried again
            Assert.assertEquals(context.runStep(() -> context.getBackend().getName()), "pytorch");
        }
    }

    @Test
    public void callersMistakeIsNoFailureOfTheBackend() {
        try (NDManager arrays = NDManager.newBaseManager("PyTorch")) {
            LoraContext context =
                    new LoraContext(BackendManager.builder().build(), ElementType.FLOAT32, arrays);
            Assert.assertThrows(
                    IllegalArgumentException.class,
                    () ->
                            context.runStep(
                                    () -> {
                                        throw new IllegalArgumentException("wrong shape");
                                    }));
            Assert.assertTrue(context.getBackendStatus().stream().allMatch(s -> s.failures() == 0));
        }
    }

    @Test
    public void noBackendLeftIsSaid() {
        try (NDManager arrays = NDManager.newBaseManager("PyTorch")) {
            LoraBackend only = LoraBackends.choose("pytorch");
            LoraContext context = new LoraContext(only, ElementType.FLOAT32, arrays);
            LoraFallbackException e =
                    Assert.expectThrows(
                            LoraFallbackException.class,
                            () ->
                                    context.runStep(
                                            () -> {
                                                throw new LoraBackendException("out of order");
                                            }));
            Assert.assertEquals(
                    e.getMessage(),
                    "Backend pytorch failed (out of order) and no other can take over in float32");
        }
    }

    private static List<String> names(BackendManager manager) {
        return manager.status().stream().map(BackendStatus::name).toList();
    }

    /** A backend that calls itself something else and is otherwise the plain one. */
    private static class Failing implements BackendProvider {

        private final String name;

        Failing(String name) {
            this.name = name;
        }

        @Override
        public String getName() {
            return name;
        }

        @Override
        public String getDescription() {
            return "for tests";
        }

        @Override
        public Optional<String> whyUnavailable() {
            return Optional.empty();
        }

        @Override
        public LoraBackend create() {
            LoraBackend plain = new NdArrayBackend();
            return new LoraBackend() {
                @Override
                public String getName() {
                    return name;
                }

                @Override
                public boolean supports(ElementType type) {
                    return plain.supports(type);
                }

                @Override
                public TensorOps getTensorOps(ElementType type) {
                    return plain.getTensorOps(type);
                }

                @Override
                public long adapterBytes(List<LoraModule> modules, int[] ranks, ElementType type) {
                    return plain.adapterBytes(modules, ranks, type);
                }

                @Override
                public AdapterTable newTable(
                        NDManager manager,
                        List<LoraModule> modules,
                        ElementType type,
                        long memory) {
                    return plain.newTable(manager, modules, type, memory);
                }
            };
        }
    }
}
