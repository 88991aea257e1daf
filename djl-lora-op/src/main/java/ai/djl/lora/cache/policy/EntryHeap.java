/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache.policy;

import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.PriorityQueue;
import java.util.function.Predicate;
import java.util.function.ToDoubleFunction;

/**
 * Entries by what a strategy keeps them for, the least first: a binary heap that knows where each
 * entry lies, so that a change of its score costs O(log n). Of entries with equal scores the one
 * that was put in first comes first.
 */
final class EntryHeap {

    private final Comparator<Node> order;
    private final Map<String, Node> nodes = new HashMap<>();
    private Node[] heap = new Node[16];
    private int size;
    private long puts;

    /** Constructs a new {@code EntryHeap} instance that orders by score. */
    EntryHeap() {
        this((a, b) -> 0);
    }

    /**
     * Constructs a new {@code EntryHeap} instance.
     *
     * @param before what goes before the score
     */
    EntryHeap(Comparator<CacheEntry> before) {
        order =
                (a, b) -> {
                    int result = before.compare(a.entry, b.entry);
                    if (result == 0) {
                        result = Double.compare(a.score, b.score);
                    }
                    return result == 0 ? Long.compare(a.put, b.put) : result;
                };
    }

    /** Adds an entry, or gives one that is here a new score. */
    void put(CacheEntry entry, double score) {
        Node node = nodes.get(entry.id());
        if (node == null) {
            node = new Node();
            nodes.put(entry.id(), node);
            if (size == heap.length) {
                heap = Arrays.copyOf(heap, 2 * size);
            }
            node.index = size++;
        }
        node.entry = entry;
        node.score = score;
        node.put = puts++;
        settle(node);
    }

    /** Takes an entry out and returns whether it was here. */
    boolean remove(String id) {
        Node node = nodes.remove(id);
        if (node == null) {
            return false;
        }
        Node last = heap[--size];
        heap[size] = null;
        if (last != node) {
            last.index = node.index;
            settle(last);
        }
        return true;
    }

    boolean contains(String id) {
        return nodes.containsKey(id);
    }

    /** Returns the score of an entry that is here. */
    double score(String id) {
        return nodes.get(id).score;
    }

    /** Scores every entry anew, in O(n). */
    void rescore(ToDoubleFunction<CacheEntry> scoring) {
        for (int i = 0; i < size; ++i) {
            heap[i].score = scoring.applyAsDouble(heap[i].entry);
        }
        for (int i = size / 2 - 1; i >= 0; --i) {
            down(heap[i]);
        }
    }

    /** Returns the first entry that may leave. */
    Optional<CacheEntry> first(Predicate<CacheEntry> evictable) {
        if (size == 0) {
            return Optional.empty();
        }
        if (evictable.test(heap[0].entry)) {
            return Optional.of(heap[0].entry);
        }
        // Walk the heap in its order, opening only what lies below entries that may not leave.
        PriorityQueue<Node> open = new PriorityQueue<>(order);
        addChildren(0, open);
        for (Node node = open.poll(); node != null; node = open.poll()) {
            if (evictable.test(node.entry)) {
                return Optional.of(node.entry);
            }
            addChildren(node.index, open);
        }
        return Optional.empty();
    }

    private void addChildren(int index, PriorityQueue<Node> open) {
        for (int child = 2 * index + 1; child <= 2 * index + 2 && child < size; ++child) {
            open.add(heap[child]);
        }
    }

    private void settle(Node node) {
        int index = node.index;
        while (index > 0) {
            Node parent = heap[(index - 1) / 2];
            if (order.compare(node, parent) >= 0) {
                break;
            }
            place(parent, index);
            index = (index - 1) / 2;
        }
        node.index = index;
        down(node);
    }

    private void down(Node node) {
        int index = node.index;
        for (int child = 2 * index + 1; child < size; child = 2 * index + 1) {
            if (child + 1 < size && order.compare(heap[child + 1], heap[child]) < 0) {
                ++child;
            }
            if (order.compare(node, heap[child]) <= 0) {
                break;
            }
            place(heap[child], index);
            index = child;
        }
        place(node, index);
    }

    private void place(Node node, int index) {
        heap[index] = node;
        node.index = index;
    }

    private static final class Node {

        private CacheEntry entry;
        private double score;
        private long put;
        private int index;
    }
}
