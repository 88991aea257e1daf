/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.function.Consumer;

/**
 * The plans of the latest steps as arrays on a device. Each layer of a step asks for the same plan,
 * which is copied once; a plan never changes, so it is known by its identity. Not thread-safe.
 */
final class CudaPlans {

    /** A step has a plan of all rows and one of those that answer; several may run side by side. */
    private static final int KEPT = 8;

    private final NDManager manager;
    private final Deque<Copy> copies = new ArrayDeque<>();

    private record Copy(BatchPlan plan, NDArray[] arrays) {}

    /**
     * Constructs a new {@code CudaPlans} instance.
     *
     * @param manager the manager that owns the arrays, of the device
     */
    CudaPlans(NDManager manager) {
        this.manager = manager;
    }

    /**
     * Returns a plan's arrays.
     *
     * @param plan the plan
     * @param check checks a plan that is seen for the first time
     * @return their handles, as {@link ai.djl.lora.jni.DeviceTableNative#sgmv} takes them
     */
    long[] get(BatchPlan plan, Consumer<BatchPlan> check) {
        for (Copy copy : copies) {
            if (copy.plan == plan) {
                return handles(copy);
            }
        }
        check.accept(plan);
        if (copies.size() == KEPT) {
            for (NDArray array : copies.removeLast().arrays) {
                array.close();
            }
        }
        Copy copy = new Copy(plan, arrays(plan));
        copies.addFirst(copy);
        return handles(copy);
    }

    private NDArray[] arrays(BatchPlan plan) {
        NDArray starts = manager.create(plan.sharedSegmentStarts());
        if (!plan.hasStacks()) {
            return new NDArray[] {starts, manager.create(plan.sharedSlots())};
        }
        return new NDArray[] {
            starts,
            manager.create(plan.sharedEntrySlots()),
            manager.create(plan.sharedEntryStarts()),
            manager.create(plan.sharedEntryWeights())
        };
    }

    private static long[] handles(Copy copy) {
        long[] handles = new long[copy.arrays.length];
        for (int i = 0; i < handles.length; ++i) {
            handles[i] = NativeTensorOps.handle(copy.arrays[i]);
        }
        return handles;
    }
}
