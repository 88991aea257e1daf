/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cuda;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import jcuda.driver.CUevent;
import jcuda.driver.CUevent_flags;
import jcuda.driver.CUstream;
import jcuda.driver.JCudaDriver;

/**
 * The events of one context. One that has happened is used again, whether anybody has asked for it
 * or not, so nobody has to close them.
 */
final class EventPool {

    /** How many of the oldest events are looked at when another is recorded. */
    private static final int LOOKED_AT = 4;

    /** A wait gives up the processor, and there are no times to be kept. */
    private static final int FLAGS =
            CUevent_flags.CU_EVENT_BLOCKING_SYNC | CUevent_flags.CU_EVENT_DISABLE_TIMING;

    private final CudaContext context;
    private final Deque<CUevent> free = new ArrayDeque<>();
    private final Deque<CopyEvent> recorded = new ArrayDeque<>();

    EventPool(CudaContext context) {
        this.context = context;
    }

    /** Returns an event that happens when a stream has done all that it was given so far. */
    CopyEvent record(CUstream stream) {
        CUevent handle = take();
        boolean done = false;
        try {
            context.call(
                    "Recording an event (cuEventRecord)",
                    () -> JCudaDriver.cuEventRecord(handle, stream));
            done = true;
        } finally {
            if (!done) {
                giveBack(handle);
            }
        }
        CopyEvent event = new CopyEvent(context, this, handle);
        synchronized (this) {
            recorded.addLast(event);
        }
        return event;
    }

    private CUevent take() {
        for (CopyEvent each : oldest()) {
            if (!each.isDone()) {
                putBack(each);
            }
        }
        synchronized (this) {
            CUevent used = free.pollLast();
            if (used != null) {
                return used;
            }
        }
        CUevent fresh = new CUevent();
        context.call(
                "Making an event (cuEventCreate)", () -> JCudaDriver.cuEventCreate(fresh, FLAGS));
        return fresh;
    }

    private synchronized List<CopyEvent> oldest() {
        List<CopyEvent> taken = new ArrayList<>();
        while (taken.size() < LOOKED_AT && !recorded.isEmpty()) {
            taken.add(recorded.pollFirst());
        }
        return taken;
    }

    private synchronized void putBack(CopyEvent event) {
        recorded.addLast(event);
    }

    /** Takes an event that nobody waits for any more. */
    synchronized void giveBack(CUevent handle) {
        free.addLast(handle);
    }

    /** Waits for every event, and destroys them all. */
    void close() {
        List<CopyEvent> left;
        do {
            left = oldest();
            left.forEach(CopyEvent::await);
        } while (!left.isEmpty());
        List<CUevent> handles;
        synchronized (this) {
            handles = List.copyOf(free);
            free.clear();
        }
        handles.forEach(
                handle ->
                        context.call(
                                "Destroying an event (cuEventDestroy)",
                                () -> JCudaDriver.cuEventDestroy(handle)));
    }
}
