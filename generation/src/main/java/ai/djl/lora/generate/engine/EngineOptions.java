/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.generate.kv.KvCompression;
import ai.djl.lora.model.KvType;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.LongSupplier;
import java.util.stream.Stream;

/** How a {@link GenerationEngine} shares its steps and its memory. Immutable. */
public final class EngineOptions {

    private static final EngineRecorder NOBODY = new EngineRecorder() {};
    private static final LongSupplier SYSTEM = System::nanoTime;

    private final int engines;
    private final int maxTokensPerStep;
    private final int maxSequences;
    private final int maxAdaptersPerStep;
    private final int maxQueue;
    private final int adapterLookahead;
    private final OptionalLong kvBytes;
    private final long scoringBytes;
    private final KvType kvType;
    private final boolean prefixCaching;
    private final KvCompression kvCompression;
    private final double kvPrunedShare;
    private final Duration kvCompressAfter;
    private final OptionalLong kvCompressedBytes;
    private final boolean speculation;
    private final int speculationSequences;
    private final Duration maxWait;
    private final Duration adapterTimeout;
    private final Map<String, Double> tenantWeights;
    private final Map<String, Double> adapterWeights;
    private final EngineRecorder recorder;
    private final LongSupplier ticker;

    private EngineOptions(Builder builder) {
        engines = builder.engines;
        maxTokensPerStep = builder.maxTokensPerStep;
        maxSequences = builder.maxSequences;
        maxAdaptersPerStep = builder.maxAdaptersPerStep;
        maxQueue = builder.maxQueue;
        adapterLookahead = builder.adapterLookahead;
        kvBytes = builder.kvBytes;
        scoringBytes = builder.scoringBytes;
        kvType = builder.kvType;
        prefixCaching = builder.prefixCaching;
        kvCompression = builder.kvCompression;
        kvPrunedShare = builder.kvPrunedShare;
        kvCompressAfter = builder.kvCompressAfter;
        kvCompressedBytes = builder.kvCompressedBytes;
        speculation = builder.speculation;
        speculationSequences = builder.speculationSequences;
        maxWait = builder.maxWait;
        adapterTimeout = builder.adapterTimeout;
        tenantWeights = Map.copyOf(builder.tenantWeights);
        adapterWeights = Map.copyOf(builder.adapterWeights);
        recorder = builder.recorder;
        ticker = builder.ticker;
        atLeast("engines", engines, 1);
        atLeast("maxTokensPerStep", maxTokensPerStep, 1);
        atLeast("maxSequences", maxSequences, 1);
        atLeast("maxAdaptersPerStep", maxAdaptersPerStep, 1);
        atLeast("maxQueue", maxQueue, 1);
        atLeast("adapterLookahead", adapterLookahead, 1);
        atLeast("speculationSequences", speculationSequences, 1);
        if (kvBytes.isPresent()) {
            atLeast("kvBytes", kvBytes.getAsLong(), 1);
        }
        compression();
        atLeast("scoringBytes", scoringBytes, 1);
        positive("maxWait", maxWait);
        positive("adapterTimeout", adapterTimeout);
        weights("tenantWeights", tenantWeights);
        weights("adapterWeights", adapterWeights);
    }

    private void compression() {
        boolean compressing = kvCompression != KvCompression.NONE;
        if (compressing && !prefixCaching) {
            throw new LoraConfigurationException(
                    "kvCompression is "
                            + kvCompression
                            + " without prefixCaching, and there are no unused blocks to compress");
        }
        if (compressing && kvType != KvType.MODEL) {
            throw new LoraConfigurationException(
                    "kvCompression is "
                            + kvCompression
                            + " and kvType "
                            + kvType
                            + ", whose blocks are not compressed any further; choose one of them");
        }
        if (!(kvPrunedShare >= 0 && kvPrunedShare < 1)) {
            throw new LoraConfigurationException(
                    "kvPrunedShare is " + kvPrunedShare + "; it must be 0 or more and below 1");
        }
        if (kvPrunedShare > 0 && !compressing) {
            throw new LoraConfigurationException(
                    "kvPrunedShare is " + kvPrunedShare + " without kvCompression");
        }
        if (kvCompressAfter.isNegative()) {
            throw new LoraConfigurationException(
                    "kvCompressAfter is " + kvCompressAfter + "; it must be 0 or more");
        }
        if (kvCompressedBytes.isPresent()) {
            atLeast("kvCompressedBytes", kvCompressedBytes.getAsLong(), 1);
        }
    }

    private static void atLeast(String name, long value, long least) {
        if (value < least) {
            throw new LoraConfigurationException(
                    name + " is " + value + "; it must be " + least + " or more");
        }
    }

    private static void positive(String name, Duration value) {
        if (value.isNegative() || value.isZero()) {
            throw new LoraConfigurationException(name + " is " + value + "; it must be above 0");
        }
    }

    private static void weights(String name, Map<String, Double> weights) {
        weights.forEach(
                (key, weight) -> {
                    if (!(weight > 0) || weight.isInfinite()) {
                        throw new LoraConfigurationException(
                                name
                                        + "[\""
                                        + key
                                        + "\"] is "
                                        + weight
                                        + "; it must be a finite number above 0");
                    }
                });
    }

    /** Returns what makes options differ, by name. */
    private Map<String, Object> values() {
        Map<String, Object> values = new LinkedHashMap<>();
        values.put("engines", engines);
        values.put("maxTokensPerStep", maxTokensPerStep);
        values.put("maxSequences", maxSequences);
        values.put("maxAdaptersPerStep", maxAdaptersPerStep);
        values.put("maxQueue", maxQueue);
        values.put("adapterLookahead", adapterLookahead);
        values.put("kvBytes", kvBytes.isPresent() ? kvBytes.getAsLong() : "by default");
        values.put("kvType", kvType);
        values.put("scoringBytes", scoringBytes);
        values.put("prefixCaching", prefixCaching);
        values.put("kvCompression", kvCompression);
        values.put("kvPrunedShare", kvPrunedShare);
        values.put("kvCompressAfter", kvCompressAfter);
        values.put(
                "kvCompressedBytes",
                kvCompressedBytes.isPresent() ? kvCompressedBytes.getAsLong() : "by default");
        values.put("speculation", speculation);
        values.put("speculationSequences", speculationSequences);
        values.put("maxWait", maxWait);
        values.put("adapterTimeout", adapterTimeout);
        values.put("tenantWeights", tenantWeights);
        values.put("adapterWeights", adapterWeights);
        values.put("recorder", recorder);
        values.put("ticker", ticker);
        return values;
    }

    /**
     * Compares with other options.
     *
     * @param other the others
     * @return the first that differs, as a part of a sentence; empty if all are the same
     */
    Optional<String> difference(EngineOptions other) {
        Map<String, Object> others = other.values();
        for (Map.Entry<String, Object> value : values().entrySet()) {
            Object another = others.get(value.getKey());
            if (!value.getValue().equals(another)) {
                return Optional.of(
                        value.getKey() + ' ' + value.getValue() + ", and not " + another);
            }
        }
        return Optional.empty();
    }

    /**
     * Returns a builder of options.
     *
     * @return a new builder
     */
    public static Builder builder() {
        return new Builder();
    }

    int engines() {
        return engines;
    }

    int maxTokensPerStep() {
        return maxTokensPerStep;
    }

    int maxSequences() {
        return maxSequences;
    }

    int maxAdaptersPerStep() {
        return maxAdaptersPerStep;
    }

    int maxQueue() {
        return maxQueue;
    }

    int adapterLookahead() {
        return adapterLookahead;
    }

    OptionalLong kvBytes() {
        return kvBytes;
    }

    long scoringBytes() {
        return scoringBytes;
    }

    KvType kvType() {
        return kvType;
    }

    boolean prefixCaching() {
        return prefixCaching;
    }

    KvCompression kvCompression() {
        return kvCompression;
    }

    double kvPrunedShare() {
        return kvPrunedShare;
    }

    Duration kvCompressAfter() {
        return kvCompressAfter;
    }

    OptionalLong kvCompressedBytes() {
        return kvCompressedBytes;
    }

    boolean speculation() {
        return speculation;
    }

    int speculationSequences() {
        return speculationSequences;
    }

    Duration maxWait() {
        return maxWait;
    }

    Duration adapterTimeout() {
        return adapterTimeout;
    }

    double tenantWeight(String tenant) {
        return tenantWeights.getOrDefault(tenant, 1.0);
    }

    double adapterWeight(String adapter) {
        return adapterWeights.getOrDefault(adapter, 1.0);
    }

    EngineRecorder recorder() {
        return recorder;
    }

    LongSupplier ticker() {
        return ticker;
    }

    /** A builder of {@link EngineOptions}. */
    public static final class Builder {

        private int engines = 1;
        private int maxTokensPerStep = 512;
        private int maxSequences = 256;
        private int maxAdaptersPerStep = 64;
        private int maxQueue = 1024;
        private int adapterLookahead = 16;
        private OptionalLong kvBytes = OptionalLong.empty();
        private long scoringBytes = 64L << 20;
        private KvType kvType = KvType.MODEL;
        private boolean prefixCaching = true;
        private KvCompression kvCompression = KvCompression.NONE;
        private double kvPrunedShare;
        private Duration kvCompressAfter = Duration.ofMinutes(1);
        private OptionalLong kvCompressedBytes = OptionalLong.empty();
        private boolean speculation = true;
        private int speculationSequences = 2;
        private Duration maxWait = Duration.ofSeconds(60);
        private Duration adapterTimeout = Duration.ofMinutes(5);
        private Map<String, Double> tenantWeights = Map.of();
        private Map<String, Double> adapterWeights = Map.of();
        private EngineRecorder recorder = NOBODY;
        private LongSupplier ticker = SYSTEM;

        private Builder() {}

        /**
         * Sets how many engines compute side by side in this process, this one counted: it takes
         * its part of the processor's threads, and of the memory that {@link #optKvBytes} is by
         * default.
         *
         * @param value the number of engines, 1 or more; 1 by default
         * @return this builder
         */
        public Builder optEngines(int value) {
            engines = value;
            return this;
        }

        /**
         * Sets the budget of a step: longer prompts are run in pieces beside the others' tokens.
         *
         * @param value the number of tokens, 1 or more; 512 by default
         * @return this builder
         */
        public Builder optMaxTokensPerStep(int value) {
            maxTokensPerStep = value;
            return this;
        }

        /**
         * Sets how many sequences run at a time.
         *
         * @param value the number of sequences, 1 or more; 256 by default
         * @return this builder
         */
        public Builder optMaxSequences(int value) {
            maxSequences = value;
            return this;
        }

        /**
         * Sets how many different adapters and stacks a step has at most, the base model not
         * counted. Sequences of others take part in the steps after.
         *
         * @param value the number, 1 or more; 64 by default
         * @return this builder
         */
        public Builder optMaxAdaptersPerStep(int value) {
            maxAdaptersPerStep = value;
            return this;
        }

        /**
         * Sets how many requests may wait; what comes after is refused.
         *
         * @param value the number of requests, 1 or more; 1,024 by default
         * @return this builder
         */
        public Builder optMaxQueue(int value) {
            maxQueue = value;
            return this;
        }

        /**
         * Sets for how many waiting requests adapters are brought to the device ahead.
         *
         * @param value the number of requests, 1 or more; 16 by default
         * @return this builder
         */
        public Builder optAdapterLookahead(int value) {
            adapterLookahead = value;
            return this;
        }

        /**
         * Sets how much memory keys and values may take.
         *
         * @param value the size in bytes; by default an eighth of the process' memory, divided by
         *     {@link #optEngines}, and no more than all sequences could use
         * @return this builder
         */
        public Builder optKvBytes(long value) {
            kvBytes = OptionalLong.of(value);
            return this;
        }

        /**
         * Sets how much memory the logits of texts that are scored take at a time. A row of them is
         * computed at least.
         *
         * @param value the size in bytes, 1 or more; 64 MiB by default
         * @return this builder
         */
        public Builder optScoringBytes(long value) {
            scoringBytes = value;
            return this;
        }

        /**
         * Sets how keys and values are held.
         *
         * @param value the type; the model's by default
         * @return this builder
         */
        public Builder optKvType(KvType value) {
            kvType = Objects.requireNonNull(value, "kvType");
            return this;
        }

        /**
         * Sets whether keys and values of ended requests are kept for others that begin with the
         * same tokens and the same revision of an adapter.
         *
         * @param value whether they are; true by default
         * @return this builder
         */
        public Builder optPrefixCaching(boolean value) {
            prefixCaching = value;
            return this;
        }

        /**
         * Sets how kept blocks of keys and values that nobody uses are compressed, out of the pool
         * into memory of their own, and restored when a request begins with their tokens. Those
         * that have to make room in the pool are compressed at once.
         *
         * @param value the codec; none by default
         * @return this builder
         */
        public Builder optKvCompression(KvCompression value) {
            kvCompression = Objects.requireNonNull(value, "kvCompression");
            return this;
        }

        /**
         * Sets the share of the entries of each compressed block, the smallest, that become zero.
         *
         * @param value the share, below 1; 0 by default
         * @return this builder
         */
        public Builder optKvPrunedShare(double value) {
            kvPrunedShare = value;
            return this;
        }

        /**
         * Sets how long a block is unused before it is compressed.
         *
         * @param value the time, 0 or more; a minute by default
         * @return this builder
         */
        public Builder optKvCompressAfter(Duration value) {
            kvCompressAfter = Objects.requireNonNull(value, "kvCompressAfter");
            return this;
        }

        /**
         * Sets how much memory compressed blocks may take, beside {@link #optKvBytes}. The ones
         * unused for longest go when it is full.
         *
         * @param value the size in bytes, a block's in the pool or more; by default half of what
         *     the pool has
         * @return this builder
         */
        public Builder optKvCompressedBytes(long value) {
            kvCompressedBytes = OptionalLong.of(value);
            return this;
        }

        /**
         * Sets whether tokens are drafted from earlier text and run along; what is generated is the
         * same.
         *
         * @param value whether they are; true by default
         * @return this builder
         */
        public Builder optSpeculation(boolean value) {
            speculation = value;
            return this;
        }

        /**
         * Sets up to how many running sequences drafts are made: with more, a step has enough to do
         * without.
         *
         * @param value the number of sequences, 1 or more; 2 by default
         * @return this builder
         */
        public Builder optSpeculationSequences(int value) {
            speculationSequences = value;
            return this;
        }

        /**
         * Sets how long a request waits before it comes ahead of others, whatever their priority.
         *
         * @param value the time, above 0; a minute by default
         * @return this builder
         */
        public Builder optMaxWait(Duration value) {
            maxWait = Objects.requireNonNull(value, "maxWait");
            return this;
        }

        /**
         * Sets how long a request waits for its adapter, for room on the device too. A load that
         * takes too long fails by itself, see {@code StoreOptions}.
         *
         * @param value the time, above 0; five minutes by default
         * @return this builder
         */
        public Builder optAdapterTimeout(Duration value) {
            adapterTimeout = Objects.requireNonNull(value, "adapterTimeout");
            return this;
        }

        /**
         * Sets tenants' shares of the engine while there is more to do than it can.
         *
         * @param value by tenant, above 0; 1 for those that are not named
         * @return this builder
         */
        public Builder optTenantWeights(Map<String, Double> value) {
            tenantWeights = value;
            return this;
        }

        /**
         * Sets adapters' shares of what their tenant has.
         *
         * @param value by adapter, above 0; 1 for those that are not named
         * @return this builder
         */
        public Builder optAdapterWeights(Map<String, Double> value) {
            adapterWeights = value;
            return this;
        }

        /**
         * Sets who is told what happens.
         *
         * @param value the recorder, called on the engine's thread
         * @return this builder
         */
        public Builder optRecorder(EngineRecorder value) {
            recorder = Objects.requireNonNull(value, "recorder");
            return this;
        }

        /**
         * Sets the clock.
         *
         * @param value the time in nanoseconds, as {@link System#nanoTime}
         * @return this builder
         */
        public Builder optTicker(LongSupplier value) {
            ticker = Objects.requireNonNull(value, "ticker");
            return this;
        }

        /**
         * Builds the options.
         *
         * @return the options
         * @throws LoraConfigurationException naming the first value that is out of its range
         */
        public EngineOptions build() {
            boolean missing = Stream.of(tenantWeights, adapterWeights).anyMatch(Objects::isNull);
            if (missing) {
                throw new LoraConfigurationException("tenantWeights and adapterWeights are needed");
            }
            return new EngineOptions(this);
        }
    }
}
