/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate;

import ai.djl.lora.LoraBackendException;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraVariantException;
import ai.djl.lora.cache.AdapterLease;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.generate.sampling.SamplingWorkspace;
import ai.djl.lora.model.CausalLanguageModel;
import ai.djl.lora.model.ForwardStep;
import ai.djl.lora.op.AdapterExtras;
import ai.djl.lora.op.AdapterMix;
import ai.djl.lora.op.SequenceStart;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.LongSupplier;

/**
 * Generates the answers of a batch in which each request names an adapter of its own.
 *
 * <p>Every step is one forward of the model over tokens of many requests and many adapters. A
 * request's answer does not depend on what else is in the batch, but for the rounding of matrix
 * products, whose kernels differ with the number of rows: in float32, tokens differ only where the
 * two best logits all but tie.
 *
 * <p>Requests whose adapters do not fit onto the device together run one after another, as many at
 * a time as fit.
 *
 * <p>A generator has no state of its own; many threads may use it as far as its model allows.
 */
public final class BatchGenerator {

    /** The budget of prompt tokens of a step unless another is given. */
    public static final int DEFAULT_PREFILL_TOKENS = 4096;

    /** The number of requests that run at a time unless another is given. */
    public static final int DEFAULT_MAX_ROWS = 256;

    private final CausalLanguageModel model;
    private final int prefillTokens;
    private final int maxRows;
    private final LongSupplier ticker;

    /**
     * Constructs a new {@code BatchGenerator} instance.
     *
     * @param model the model
     */
    public BatchGenerator(CausalLanguageModel model) {
        this(model, DEFAULT_PREFILL_TOKENS, DEFAULT_MAX_ROWS);
    }

    /**
     * Constructs a new {@code BatchGenerator} instance with limits on the memory that a step takes.
     *
     * @param model the model
     * @param prefillTokens the budget of prompt tokens of a step, at least 1; a longer prompt is
     *     run whole in a step of its own
     * @param maxRows the number of requests that run, and hold a cache, at a time, at least 1; the
     *     others wait
     */
    public BatchGenerator(CausalLanguageModel model, int prefillTokens, int maxRows) {
        this(model, prefillTokens, maxRows, System::nanoTime);
    }

    BatchGenerator(CausalLanguageModel model, int prefillTokens, int maxRows, LongSupplier ticker) {
        if (prefillTokens < 1 || maxRows < 1) {
            throw new IllegalArgumentException(
                    "prefillTokens is "
                            + prefillTokens
                            + " and maxRows is "
                            + maxRows
                            + "; both must be 1 or more");
        }
        this.model = model;
        this.prefillTokens = prefillTokens;
        this.maxRows = maxRows;
        this.ticker = ticker;
    }

    /**
     * Generates the answers of a batch.
     *
     * @param requests the requests
     * @return the results, in the order of the requests
     * @throws GenerationRequestException if a request is not valid, names an unknown adapter, or
     *     lacks the tokens from which on its adapter acts; this is found before anything is
     *     generated
     * @throws ai.djl.lora.LoraException if an adapter cannot be loaded, or the device has no room
     * @throws LoraBackendException if the model's logits are not finite
     */
    public List<GenerationResult> generate(List<GenerationRequest> requests) {
        return generate(requests, statistics -> {});
    }

    /**
     * Generates the answers of a batch and tells of each step.
     *
     * @param requests the requests
     * @param listener called after each step on the caller's thread; the last call, when all rows
     *     are finished, has the final numbers. What it throws ends the generation
     * @return the results, in the order of the requests
     * @throws GenerationRequestException if a request is not valid, names an unknown adapter, or
     *     lacks the tokens from which on its adapter acts; this is found before anything is
     *     generated
     * @throws ai.djl.lora.LoraException if an adapter cannot be loaded, or the device has no room
     * @throws LoraBackendException if the model's logits are not finite
     */
    public List<GenerationResult> generate(
            List<GenerationRequest> requests, Consumer<GenerationStatistics> listener) {
        int vocabSize = model.getConfig().vocabSize();
        int positions = model.getConfig().maxPositionEmbeddings();
        RequestValidator validator = new RequestValidator(vocabSize, positions);
        validator.validate(requests);
        AdapterStore store = model.getAdapters();
        SamplingWorkspace workspace = new SamplingWorkspace();
        List<Sequence> sequences = new ArrayList<>(requests.size());
        for (int i = 0; i < requests.size(); ++i) {
            sequences.add(sequence(i, requests.get(i), store, validator, workspace));
        }
        List<Sequence> byAdapter = new ArrayList<>(sequences);
        byAdapter.sort(Comparator.comparing(sequence -> sequence.request().adapter()));
        StatisticsRecorder recorder = new StatisticsRecorder(requests.size(), ticker);
        for (List<Sequence> wave : AdapterWaves.of(store, byAdapter)) {
            try (AdapterLeases leases = new AdapterLeases(store);
                    NDManager manager = model.getLoraContext().getManager().newSubManager()) {
                wave.forEach(sequence -> lease(sequence, leases));
                generate(wave, manager, recorder, listener);
            }
        }
        return sequences.stream().map(Sequence::result).toList();
    }

    private void lease(Sequence sequence, AdapterLeases leases) {
        GenerationRequest request = sequence.request();
        if (request.adapter().isEmpty()) {
            sequence.lease(AdapterMix.BASE, "base", null);
            return;
        }
        AdapterLease lease = leases.lease(request.adapter(), request.unavailable());
        AdapterExtras extras = model.getLoraContext().extrasOf(lease.getMix());
        if (extras != null && lease.getSubstitution().isPresent()) {
            // what was checked of the request was checked for another revision
            throw new LoraVariantException(
                    "requests["
                            + sequence.index()
                            + "]: the revision of adapter \""
                            + request.adapter()
                            + "\" before the current one cannot stand in for it: it changes more"
                            + " than linear layers' outputs");
        }
        sequence.lease(lease.getMix(), lease.getRevision(), lease.getSubstitution().orElse(null));
    }

    private Sequence sequence(
            int index,
            GenerationRequest request,
            AdapterStore store,
            RequestValidator validator,
            SamplingWorkspace workspace) {
        int virtualTokens = 0;
        if (!request.adapter().isEmpty()) {
            SequenceStart start;
            try {
                start = store.sequenceStart(request.adapter());
            } catch (LoraConfigurationException e) {
                throw new GenerationRequestException(index, e.getMessage(), e);
            }
            validator.validateAdapter(index, request, start);
            virtualTokens = start.virtualTokens();
        }
        return new Sequence(
                index,
                request,
                virtualTokens,
                model.getConfig().maxPositionEmbeddings(),
                model.getConfig().eosTokenIds(),
                workspace);
    }

    private void generate(
            List<Sequence> wave,
            NDManager manager,
            StatisticsRecorder recorder,
            Consumer<GenerationStatistics> listener) {
        try (StepScheduler scheduler = new StepScheduler(wave, prefillTokens, maxRows)) {
            while (scheduler.hasWork()) {
                recorder.stepStarts();
                boolean prefill = scheduler.isPrefill();
                List<Sequence> step = scheduler.schedule();
                ForwardStep input = input(step, manager);
                advance(step, run(input, manager));
                int finished = scheduler.retire();
                if (prefill) {
                    recorder.prefillEnds(promptTokens(step), step.size(), finished);
                } else {
                    recorder.decodeEnds(step.size(), finished);
                }
                listener.accept(recorder.snapshot());
            }
        }
    }

    /** Gathers the tokens of a step and gives caches to the sequences that start in it. */
    private ForwardStep input(List<Sequence> step, NDManager manager) {
        ForwardStep.Builder builder = ForwardStep.builder();
        for (Sequence sequence : step) {
            if (sequence.cache() == null) {
                sequence.start(model.newKvCache(manager));
            }
            builder.addSequence(sequence.cache(), sequence.mix(), sequence.nextTokens());
        }
        return builder.build();
    }

    /** Returns the logits [sequences, vocab] of the last token of each sequence. */
    private float[] run(ForwardStep input, NDManager manager) {
        try (NDManager stepManager = manager.newSubManager();
                NDArray logits = model.forward(stepManager, input)) {
            return logits.toFloatArray();
        }
    }

    private void advance(List<Sequence> step, float[] logits) {
        int vocabSize = model.getConfig().vocabSize();
        for (int i = 0; i < step.size(); ++i) {
            Sequence sequence = step.get(i);
            try {
                sequence.advance(logits, i * vocabSize, vocabSize);
            } catch (LoraBackendException e) {
                throw new LoraBackendException(
                        "requests["
                                + sequence.index()
                                + "], adapter \""
                                + sequence.request().adapter()
                                + "\", new token "
                                + sequence.length()
                                + ": "
                                + e.getMessage(),
                        e);
            }
        }
    }

    private static long promptTokens(List<Sequence> step) {
        return step.stream().mapToLong(row -> row.request().promptTokens().length).sum();
    }
}
