/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.op;

import ai.djl.lora.jit.JitSelection;
import ai.djl.lora.jni.CudaDevice;
import ai.djl.lora.tensor.ElementType;
import java.util.Collection;
import java.util.Comparator;
import java.util.Map;
import java.util.OptionalInt;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Has kernels compiled for the rank that most of a table's adapters have. Not thread-safe but for
 * {@link #prepare}.
 */
final class CudaKernelChoice {

    /** What a table without adapters is made ready for, where it has no kernels else. */
    private static final int USUAL_RANK = 16;

    private static final int HIGHEST_RANK = 256;

    private final JitSelection selection;
    private final CudaDevice device;
    private final ElementType type;
    private final long[] inFeatures;
    private int chosen;

    /**
     * Constructs a new {@code CudaKernelChoice} instance.
     *
     * @param selection compiles, measures and chooses
     * @param device the table's device
     * @param type the table's type
     * @param inFeatures the number of inputs of each of the table's modules
     */
    CudaKernelChoice(
            JitSelection selection, CudaDevice device, ElementType type, long... inFeatures) {
        this.selection = selection;
        this.device = device;
        this.type = type;
        this.inFeatures = inFeatures;
    }

    /** Compiles for an adapter that is about to come, given the rank of each of its modules. */
    void prepare(int... ranks) {
        rankOf(ranks).ifPresent(rank -> selection.prepare(device, type, rank, inFeatures));
    }

    /** Gives a new table kernels, so that it has some before its first adapter comes. */
    void begin(long table) {
        selection.prepare(device, type, USUAL_RANK, inFeatures);
        choose(table, USUAL_RANK);
    }

    /**
     * Chooses anew if most adapters have another rank than before. No call may use the table
     * meanwhile.
     *
     * @param table the table
     * @param adapters the rank of each module, of every adapter
     */
    void update(long table, Collection<int[]> adapters) {
        Map<Integer, Long> counts =
                adapters.stream()
                        .map(CudaKernelChoice::rankOf)
                        .filter(OptionalInt::isPresent)
                        .map(OptionalInt::getAsInt)
                        .collect(Collectors.groupingBy(Function.identity(), Collectors.counting()));
        counts.entrySet().stream()
                .max(
                        Map.Entry.<Integer, Long>comparingByValue()
                                .thenComparing(Map.Entry.comparingByKey(Comparator.reverseOrder())))
                .filter(most -> most.getKey() != chosen)
                .ifPresent(most -> choose(table, most.getKey()));
    }

    private void choose(long table, int rank) {
        selection.apply(table, device, type, rank, inFeatures);
        chosen = rank;
    }

    /* The rank that most of its modules have stands for an adapter. */
    private static OptionalInt rankOf(int... ranks) {
        return IntStream.of(ranks).filter(rank -> rank > 0 && rank <= HIGHEST_RANK).max();
    }
}
