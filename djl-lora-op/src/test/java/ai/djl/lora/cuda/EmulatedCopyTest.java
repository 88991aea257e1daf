/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cuda;

import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertFalse;
import static org.testng.Assert.assertNull;
import static org.testng.Assert.assertTrue;
import static org.testng.Assert.expectThrows;

import ai.djl.lora.LoraBackendException;
import ai.djl.lora.LoraMemoryException;
import ai.djl.lora.memory.Block;
import ai.djl.lora.memory.BlockPool;
import ai.djl.lora.memory.MemoryReading;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import jcuda.driver.CUcontext;
import jcuda.driver.JCudaDriver;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import org.testng.annotations.Test;

/** Memory and copies through JCuda's own library, on the tests' stand-in for the driver. */
public class EmulatedCopyTest {

    private static final int SIZE = 1 << 16;
    private static final long WAIT_MILLIS = 60_000;

    private EmulatedGpu gpu;
    private CudaContext context;
    private ForeignStream computing;
    private long memory;

    @BeforeMethod
    void open() {
        gpu = EmulatedGpu.load();
        context = CudaContext.open(0);
        computing = new ForeignStream(context, 0);
        memory = gpu.allocate(context, SIZE);
    }

    @AfterMethod(alwaysRun = true)
    void close() {
        if (context == null) {
            return;
        }
        gpu.letGo(0);
        gpu.free(context, memory);
        context.close();
        for (String what :
                List.of("allocations", "pinned", "registered", "streams", "events", "contexts")) {
            assertEquals(gpu.count(what), 0, what);
        }
    }

    @Test(timeOut = WAIT_MILLIS)
    public void copiesGoOnWhileNobodyWaits() {
        byte[] bytes = random(SIZE);
        try (PinnedArena arena = new PinnedArena(context, SIZE);
                CopyStream copies = new CopyStream(context)) {
            long pageable = gpu.count("pageable copies");
            ByteBuffer source = arena.view(0, SIZE);
            source.duplicate().put(bytes);
            gpu.hold(0);
            copies.waitFor(computing.record());
            byte[] before = EmulatedGpu.read(memory, SIZE);
            CopyEvent copied =
                    copies.copyToDevice(
                            List.of(
                                    new DeviceCopy(source.slice(0, SIZE / 2), memory),
                                    new DeviceCopy(source.position(SIZE / 2), memory + SIZE / 2)));
            assertFalse(copied.isDone());
            assertEquals(EmulatedGpu.read(memory, SIZE), before);
            gpu.letGo(0);
            copied.await();
            assertTrue(copied.isDone());
            assertEquals(EmulatedGpu.read(memory, SIZE), bytes);

            ByteBuffer back = arena.view(0, SIZE);
            back.duplicate().put(new byte[SIZE]);
            copies.copyToHost(List.of(new DeviceCopy(back, memory))).await();
            byte[] found = new byte[SIZE];
            back.get(found);
            assertEquals(found, bytes);
            assertEquals(gpu.count("pageable copies"), pageable, "all memory was pinned");
        }
    }

    @Test(timeOut = WAIT_MILLIS)
    public void anEventIsAwaitedAndNotTheDevice() {
        try (PinnedArena arena = new PinnedArena(context, SIZE);
                CopyStream slow = new CopyStream(context);
                CopyStream copies = new CopyStream(context)) {
            gpu.hold(0);
            slow.waitFor(computing.record());
            CopyEvent late = slow.copyToDevice(List.of(new DeviceCopy(arena.view(0, 64), memory)));
            copies.copyToDevice(List.of(new DeviceCopy(arena.view(64, 64), memory + 64))).await();
            assertFalse(late.isDone());
            gpu.letGo(0);
            late.await();
        }
    }

    @Test(timeOut = WAIT_MILLIS)
    public void anotherLibrarysStreamWaitsForACopyAndACopyForIt() {
        try (PinnedArena arena = new PinnedArena(context, SIZE);
                CopyStream slow = new CopyStream(context);
                CopyStream copies = new CopyStream(context)) {
            gpu.hold(0);
            CopyEvent computed = computing.record();
            slow.waitFor(computed);
            CopyEvent copied =
                    slow.copyToDevice(List.of(new DeviceCopy(arena.view(0, 64), memory)));
            copies.waitFor(copied);
            CopyEvent after = copies.record();
            assertFalse(computed.isDone());
            assertFalse(after.isDone());
            gpu.letGo(0);
            after.await();
            assertTrue(computed.isDone());
            assertTrue(copied.isDone());
            computing.waitFor(after);
            computing.record().await();
        }
    }

    @Test(timeOut = WAIT_MILLIS)
    public void eventsAreUsedAgain() {
        try (CopyStream copies = new CopyStream(context)) {
            List<CopyEvent> kept = new ArrayList<>();
            for (int i = 0; i < 1000; ++i) {
                CopyEvent event = copies.record();
                if (i % 3 == 0) {
                    event.await();
                    kept.add(event);
                }
            }
            copies.record().await();
            assertTrue(gpu.count("events") < 100, gpu.count("events") + " events");
            for (CopyEvent event : kept) {
                assertTrue(event.isDone());
            }
        }
    }

    @Test(timeOut = WAIT_MILLIS)
    public void manyThreadsMayWaitForOneEvent() throws Exception {
        try (CopyStream copies = new CopyStream(context)) {
            for (int round = 0; round < 20; ++round) {
                gpu.hold(0);
                copies.waitFor(computing.record());
                CopyEvent event = copies.record();
                CountDownLatch started = new CountDownLatch(4);
                List<FutureTask<Boolean>> waiting = new ArrayList<>();
                for (int i = 0; i < 4; ++i) {
                    waiting.add(
                            new FutureTask<>(
                                    () -> {
                                        started.countDown();
                                        event.await();
                                        return event.isDone();
                                    }));
                }
                waiting.forEach(task -> new Thread(task).start());
                started.await();
                gpu.letGo(0);
                copies.record().await();
                for (FutureTask<Boolean> task : waiting) {
                    assertTrue(task.get(WAIT_MILLIS, TimeUnit.MILLISECONDS));
                }
            }
        }
    }

    @Test
    public void apoolOfPinnedMemoryIsCopiedAsItIs() {
        byte[] bytes = random(5000);
        try (BlockPool<ByteBuffer> pool = new BlockPool<>(new PinnedArena(context, SIZE));
                CopyStream copies = new CopyStream(context)) {
            long pageable = gpu.count("pageable copies");
            Block<ByteBuffer> block = pool.tryAllocate(bytes.length).orElseThrow();
            block.access(view -> view.put(bytes));
            try (var pin = block.pin()) {
                copies.copyToDevice(List.of(new DeviceCopy(pin.view(), memory))).await();
            }
            assertEquals(EmulatedGpu.read(memory, bytes.length), bytes);
            assertEquals(gpu.count("pageable copies"), pageable);
            assertEquals(pool.trim(), 0, "pinned memory is not given back");
        }
    }

    @Test
    public void memoryThatCannotBePinnedIsRefused() {
        gpu.limitPinned(SIZE);
        String message =
                expectThrows(LoraMemoryException.class, () -> new PinnedArena(context, SIZE + 1))
                        .getMessage();
        assertEquals(
                message,
                "Pinning 131072 bytes of the host's memory (cuMemHostRegister) failed: out of"
                        + " memory (CUDA_ERROR_OUT_OF_MEMORY)");
        try (PinnedArena arena = new PinnedArena(context, SIZE)) {
            assertEquals(arena.bytes(), SIZE);
            assertEquals(gpu.count("registered bytes"), SIZE);
        }
    }

    @Test
    public void deviceMemoryThatIsNotThereIsRefused() {
        String message =
                expectThrows(LoraMemoryException.class, () -> gpu.allocate(context, 1L << 30))
                        .getMessage();
        assertTrue(message.contains("CUDA_ERROR_OUT_OF_MEMORY"), message);
    }

    @Test
    public void whatTheDriverRefusesIsTold() {
        gpu.fail("cuMemcpyHtoDAsync_v2", 719, 1);
        try (PinnedArena arena = new PinnedArena(context, SIZE);
                CopyStream copies = new CopyStream(context)) {
            List<DeviceCopy> copy = List.of(new DeviceCopy(arena.view(0, 64), memory));
            assertEquals(
                    expectThrows(LoraBackendException.class, () -> copies.copyToDevice(copy))
                            .getMessage(),
                    "Copying 64 bytes to CUDA device 0 failed: unspecified launch failure"
                            + " (CUDA_ERROR_LAUNCH_FAILED)");
            copies.copyToDevice(copy).await();
        }
    }

    @Test
    public void memoryOfTheDeviceIsReadFromTheDriver() throws IOException {
        long taken = gpu.allocate(context, 1 << 20);
        try {
            assertEquals(
                    new CudaMemorySource(context).read(),
                    new MemoryReading((1 << 20) + SIZE, 0, 1 << 24, "CUDA device 0"));
        } finally {
            gpu.free(context, taken);
        }
        assertEquals(new CudaMemorySource(context).read().used(), SIZE);
    }

    @Test(timeOut = WAIT_MILLIS)
    public void devicesHaveTheirOwnContexts() throws IOException {
        gpu.configure(2, 1 << 24);
        try (CudaContext second = CudaContext.open(1);
                CopyStream here = new CopyStream(context);
                CopyStream there = new CopyStream(second)) {
            assertEquals(new CudaMemorySource(second).read().used(), 0);
            gpu.hold(0);
            here.waitFor(computing.record());
            CopyEvent first = here.record();
            there.waitFor(first);
            CopyEvent after = there.record();
            assertFalse(after.isDone());
            gpu.letGo(0);
            after.await();
            assertTrue(first.isDone());
        }
        gpu.configure(1, 1 << 24);
    }

    @Test
    public void theThreadsOwnContextStays() {
        CUcontext before = new CUcontext();
        JCudaDriver.cuCtxGetCurrent(before);
        new CopyStream(context).close();
        CUcontext after = new CUcontext();
        JCudaDriver.cuCtxGetCurrent(after);
        assertEquals(after, before);
        assertEquals(after, new CUcontext(), "there was none");
    }

    @Test
    public void aDeviceThatIsNotThereIsTold() {
        assertEquals(
                expectThrows(LoraBackendException.class, () -> CudaContext.open(5)).getMessage(),
                "CUDA device 5 (cuDeviceGet) failed: invalid device ordinal"
                        + " (CUDA_ERROR_INVALID_DEVICE)");
        assertNull(CudaContext.unavailable().orElse(null));
    }

    @Test
    public void whatIsClosedIsUsedNoMore() {
        CopyStream closed = new CopyStream(context);
        closed.close();
        closed.close();
        expectThrows(IllegalStateException.class, closed::record);
        CudaContext other = CudaContext.open(0);
        other.close();
        other.close();
        expectThrows(IllegalStateException.class, () -> new CopyStream(other));
        expectThrows(
                IllegalArgumentException.class,
                () -> new DeviceCopy(ByteBuffer.allocate(1), memory));
    }

    private static byte[] random(int size) {
        byte[] bytes = new byte[size];
        SplittableRandom random = new SplittableRandom(size);
        for (int i = 0; i < size; ++i) {
            bytes[i] = (byte) random.nextInt();
        }
        return bytes;
    }
}
