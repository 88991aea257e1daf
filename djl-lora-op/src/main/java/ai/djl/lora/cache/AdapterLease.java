/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.op.AdapterMix;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * The right to use the weights of an adapter, or of the adapters of a stack. As long as a lease is
 * open, its slots in the adapter table keep the revisions that were leased, whatever happens to the
 * adapters' names.
 */
public final class AdapterLease implements AutoCloseable {

    private final Consumer<ManagedAdapter> giveBack;
    private final String name;
    private final List<ManagedAdapter> adapters;
    private final AdapterMix mix;
    private final Substitution substitution;
    private final AtomicBoolean closed = new AtomicBoolean();

    AdapterLease(
            Consumer<ManagedAdapter> giveBack,
            String name,
            List<ManagedAdapter> adapters,
            AdapterMix mix,
            Substitution substitution) {
        this.giveBack = giveBack;
        this.name = name;
        this.adapters = adapters;
        this.mix = mix;
        this.substitution = substitution;
    }

    /**
     * Returns the name under which the adapter or stack was acquired.
     *
     * @return the name
     */
    public String getName() {
        return name;
    }

    /**
     * Returns who answers in the adapter's place, where its {@link UnavailablePolicy} allowed that.
     *
     * @return the substitution, empty where the adapter itself is leased
     */
    public Optional<Substitution> getSubstitution() {
        return Optional.ofNullable(substitution);
    }

    /**
     * Returns the content hash of what is leased.
     *
     * @return the adapter's revision, SHA-256 in hexadecimal; of a stack {@code weight*revision} of
     *     each part, joined by {@code +}; {@code base} where the base model answers
     */
    public String getRevision() {
        if (adapters.isEmpty()) {
            return "base";
        }
        if (mix.isPlain()) {
            return adapters.get(0).revision();
        }
        return IntStream.range(0, mix.size())
                .mapToObj(i -> mix.weight(i) + "*" + adapters.get(i).revision())
                .collect(Collectors.joining("+"));
    }

    /**
     * Returns what a row that uses this lease adds to the base model.
     *
     * @return the mix
     * @throws IllegalStateException if this lease is closed
     */
    public AdapterMix getMix() {
        checkOpen();
        return mix;
    }

    /**
     * Returns the adapter's slot in the model's adapter table.
     *
     * @return the slot
     * @throws IllegalStateException if this lease is closed, or one of a stack
     */
    public int getSlot() {
        checkOpen();
        if (adapters.isEmpty() || !mix.isPlain()) {
            throw new IllegalStateException(
                    name
                            + (adapters.isEmpty()
                                    ? " is answered by the base model"
                                    : " is a stack")
                            + ", which has no slot of its own");
        }
        return mix.slot(0);
    }

    private void checkOpen() {
        if (closed.get()) {
            throw new IllegalStateException("The lease of adapter " + name + " is closed");
        }
    }

    List<ManagedAdapter> adapters() {
        return adapters;
    }

    /** Gives everything back. Closing twice does nothing. */
    @Override
    public void close() {
        if (!closed.getAndSet(true)) {
            adapters.forEach(giveBack);
        }
    }
}
