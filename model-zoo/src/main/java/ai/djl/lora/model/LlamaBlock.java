/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.model;

import ai.djl.inference.streaming.StreamingBlock;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.memory.MemoryMonitor;
import ai.djl.lora.nn.LoraLinear;
import ai.djl.lora.op.AdapterExtras;
import ai.djl.lora.op.AdapterMix;
import ai.djl.lora.op.BatchPlan;
import ai.djl.lora.op.LayerStream;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.ModelLayout;
import ai.djl.lora.op.ResolvedPlan;
import ai.djl.lora.tensor.ElementType;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.AbstractBlock;
import ai.djl.nn.Parameter;
import ai.djl.training.ParameterStore;
import ai.djl.util.PairList;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/**
 * A decoder-only transformer of the Llama family: Llama 2 and 3, Mistral, Qwen2 and Qwen3.
 *
 * <p>The tokens of all sequences of a step lie in one matrix [tokens, hidden], so that each linear
 * layer is one product and one call of the adapters' operator; only attention goes sequence by
 * sequence.
 *
 * <p>DJL's own {@code forward} takes token ids [batch, sequence], int64 or int32, each row a fresh
 * sequence of full length, and returns logits [batch, sequence, vocabulary], float32. The
 * parameters may hold a {@link BatchPlan} under {@link LoraLinear#PLAN}, with one slot for each row
 * of the batch or one for each token (batch times sequence, row by row); without one the base model
 * answers. An adapter with virtual or invocation tokens takes whole rows.
 */
public final class LlamaBlock extends AbstractBlock implements CausalLanguageModel, StreamingBlock {

    private static final byte VERSION = 1;

    private final LlamaConfig config;
    private final LoraContext context;
    private final AdapterStore adapters;
    private final TokenEmbedding embedding;
    private final List<LlamaDecoderLayer> layers = new ArrayList<>();
    private final RmsNorm finalNorm;
    private final LoraLinear output;
    private final RotaryTable rotary;

    private final LayerOffload offload;

    private LlamaBlock(
            LlamaConfig config,
            LoraContext context,
            LlamaWeights weights,
            AdapterStore store,
            OptionalInt offloaded) {
        super(VERSION);
        this.config = config;
        this.context = context;
        NDArray table = weights.array(LlamaWeights.EMBEDDING + ".weight");
        Parameter parameter =
                Parameter.builder()
                        .setName(LlamaWeights.EMBEDDING + ".weight")
                        .setType(Parameter.Type.WEIGHT)
                        .optRequiresGrad(false)
                        .build();
        parameter.setArray(table);
        addParameter(parameter);
        this.embedding = new TokenEmbedding(context, table);
        this.offload = LayerOffload.plan(context, store, config, weights.bytes(), offloaded);
        for (int i = 0; i < config.numHiddenLayers(); ++i) {
            LlamaDecoderLayer layer = layer(i, weights);
            layers.add(addChildBlock("model.layers." + i, layer));
            offload.loaded(layer);
        }
        this.finalNorm =
                addChildBlock(LlamaWeights.FINAL_NORM, weights.norm(LlamaWeights.FINAL_NORM));
        LoraLinear linear =
                config.tieWordEmbeddings()
                        ? LoraLinear.sharing(context, LlamaWeights.OUTPUT, table)
                        : weights.linear(LlamaWeights.OUTPUT);
        this.output = addChildBlock(LlamaWeights.OUTPUT, linear);
        this.rotary = new RotaryTable(config, context);
        describe(table);
        this.adapters = store;
        long bytes = weights.bytes();
        store.addMemoryConsumer(MemoryMonitor.MODEL_WEIGHTS, () -> bytes - offload.savedBytes());
        beforeInitialize(new Shape(-1, -1));
    }

    /**
     * Loads a model from a Hugging Face folder.
     *
     * @param directory the folder with {@code config.json} and safetensors files
     * @param config the configuration in that folder
     * @param context what the adapted layers share; the weights belong to its manager
     * @return the model
     * @throws LoraConfigurationException if the weights are not those of the configuration's model
     */
    public static LlamaBlock load(Path directory, LlamaConfig config, LoraContext context) {
        return load(directory, config, context, new AdapterStore(context));
    }

    /**
     * Loads a model from a Hugging Face folder, whose adapters are in a store that has been opened.
     *
     * @param directory the folder with {@code config.json} and safetensors files
     * @param config the configuration in that folder
     * @param context what the adapted layers share; the weights belong to its manager
     * @param store the model's adapters, of the same context
     * @return the model
     * @throws LoraConfigurationException if the weights are not those of the configuration's model
     */
    public static LlamaBlock load(
            Path directory, LlamaConfig config, LoraContext context, AdapterStore store) {
        return load(directory, config, context, store, OptionalInt.empty());
    }

    /**
     * Loads a model from a Hugging Face folder, with layers whose weights stay in the host's memory
     * and are brought to the GPU for each step.
     *
     * @param directory the folder with {@code config.json} and safetensors files
     * @param config the configuration in that folder
     * @param context what the adapted layers share; the weights belong to its manager
     * @param store the model's adapters, of the same context
     * @param offloaded how many layers are offloaded, from the last on; without, as many as the
     *     GPU's memory asks for, now and later, and none on the CPU
     * @return the model
     * @throws LoraConfigurationException if the weights are not those of the configuration's model,
     *     or layers cannot be offloaded
     */
    public static LlamaBlock load(
            Path directory,
            LlamaConfig config,
            LoraContext context,
            AdapterStore store,
            OptionalInt offloaded) {
        try (LlamaWeights weights = LlamaWeights.open(directory, config, context)) {
            return new LlamaBlock(config, context, weights, store, offloaded);
        } finally {
            // whoever loads a model need not be who computes with it
            context.getBackend().releaseThreads();
        }
    }

    /** Tells what adapters may change beside linear layers and norms, which add themselves. */
    private void describe(NDArray table) {
        Optional<String> tied =
                config.tieWordEmbeddings() ? Optional.of(LlamaWeights.OUTPUT) : Optional.empty();
        context.setEmbedding(
                new ModelLayout.Embedding(
                        LlamaWeights.EMBEDDING, config.vocabSize(), config.hiddenSize(), tied),
                table);
        context.setAttention(
                new ModelLayout.Attention(
                        config.numHiddenLayers(), config.numKeyValueHeads(), config.headDim()));
    }

    private LlamaDecoderLayer layer(int index, LlamaWeights weights) {
        String prefix = "model.layers." + index + '.';
        return new LlamaDecoderLayer(
                weights.norm(prefix + "input_layernorm"),
                new LlamaAttention(context, config, index, weights),
                weights.norm(prefix + "post_attention_layernorm"),
                new LlamaMlp(
                        weights.linear(prefix + "mlp.gate_proj"),
                        weights.linear(prefix + "mlp.up_proj"),
                        weights.linear(prefix + "mlp.down_proj")));
    }

    /** {@inheritDoc} */
    @Override
    public LlamaConfig getConfig() {
        return config;
    }

    /** {@inheritDoc} */
    @Override
    public LoraContext getLoraContext() {
        return context;
    }

    /** {@inheritDoc} */
    @Override
    public AdapterStore getAdapters() {
        return adapters;
    }

    /** {@inheritDoc} */
    @Override
    public Optional<OffloadStatistics> getOffloadStatistics() {
        return offload.statistics();
    }

    LayerOffload layerOffload() {
        return offload;
    }

    /** {@inheritDoc} */
    @Override
    public KvCache newKvCache(NDManager manager) {
        int blocks = KvPool.blocksFor(config.maxPositionEmbeddings());
        return newKvPool(manager, blocks).newOnlyCache();
    }

    /** {@inheritDoc} */
    @Override
    public KvPool newKvPool(NDManager manager, int blocks, KvType type) {
        return new KvPool(config, context, manager, blocks, type);
    }

    /** {@inheritDoc} */
    @Override
    public NDArray forward(NDManager manager, ForwardStep step) {
        return run(manager, step, mixes(step));
    }

    private static List<AdapterMix> mixes(ForwardStep step) {
        List<AdapterMix> mixes = new ArrayList<>(step.tokenCount());
        for (ForwardStep.Sequence sequence : step.sequences()) {
            mixes.addAll(Collections.nCopies(sequence.tokens().length, sequence.mix()));
        }
        return mixes;
    }

    /** {@inheritDoc} */
    @Override
    public StepStates states(NDManager manager, ForwardStep step) {
        StepRows rows = new StepRows(config, context, step, mixes(step));
        int[] outputs = rows.outputs(step.allPositions());
        offload.beforeStep();
        NDArray states = context.runStep(() -> wanted(manager, rows, outputs).states());
        rows.sequences().forEach(SequenceRows::commit);
        return new StepStates(
                context,
                states,
                rows.mixes(outputs),
                (x, plan) -> outputLayer(x, context.resolve(plan)));
    }

    /**
     * {@inheritDoc}
     *
     * <p>A layer's arrays live until it ends: the stream and four more of its width (two normalised
     * inputs and two parts' outputs), queries and what they attended to, keys, values, and three of
     * the feed-forward part's width.
     */
    @Override
    public long activationBytes(int tokens, int outputs) {
        long hidden = config.hiddenSize();
        long queries = (long) config.numAttentionHeads() * config.headDim();
        long keys = (long) config.numKeyValueHeads() * config.headDim();
        int normalised = config.queryKeyNorm() ? 1 : 0;
        long layer =
                5 * hidden
                        + (2 + normalised) * queries
                        + (2 + normalised) * keys
                        + 3L * config.intermediateSize();
        int bytes = context.getType().bytes();
        long logits = (long) config.vocabSize() * bytes;
        if (context.getType() != ElementType.FLOAT32) {
            logits += (long) config.vocabSize() * ElementType.FLOAT32.bytes();
        }
        return Math.max(
                tokens * layer * bytes,
                tokens * hidden * bytes + outputs * (2 * hidden * bytes + logits));
    }

    private NDArray run(NDManager manager, ForwardStep step, List<AdapterMix> mixOfToken) {
        StepRows rows = new StepRows(config, context, step, mixOfToken);
        offload.beforeStep();
        // caches count their tokens at the end, so that a step that is run again overwrites them
        NDArray logits = context.runStep(() -> logits(manager, rows, step.allPositions()));
        rows.sequences().forEach(SequenceRows::commit);
        return logits;
    }

    private NDArray logits(NDManager manager, StepRows rows, boolean allPositions) {
        int[] outputs = rows.outputs(allPositions);
        try (NDManager stepManager = manager.newSubManager()) {
            Wanted wanted = wanted(stepManager, rows, outputs);
            if (outputs.length == 0) {
                return manager.zeros(new Shape(0, config.vocabSize()));
            }
            NDArray logits = outputLayer(wanted.states(), wanted.plan());
            logits.attach(manager);
            return logits;
        }
    }

    private NDArray outputLayer(NDArray states, ResolvedPlan plan) {
        NDArray logits = output.forward(states, plan);
        return context.getType() == ElementType.FLOAT32
                ? logits
                : context.getOps().toType(logits, ElementType.FLOAT32);
    }

    /**
     * The rows that something is computed of behind the layers.
     *
     * @param states what the last norm makes of them [rows, hidden]
     * @param plan the adapter of each
     */
    private record Wanted(NDArray states, ResolvedPlan plan) {}

    private Wanted wanted(NDManager manager, StepRows rows, int... outputs) {
        try (NDManager stepManager = manager.newSubManager()) {
            rows.sequences().forEach(sequence -> sequence.prepareCache(stepManager));
            ResolvedPlan plan = context.resolve(rows.plan());
            NDArray x = hiddenStates(stepManager, rows, plan);
            if (outputs.length == 0) {
                return new Wanted(manager.zeros(new Shape(0, config.hiddenSize())), plan);
            }
            if (outputs.length < rows.count()) {
                x = context.getOps().embedding(x, TokenEmbedding.ids(stepManager, outputs));
                plan = context.resolve(rows.plan(outputs));
            }
            NDArray states = finalNorm.forward(x, plan);
            states.attach(manager);
            return new Wanted(states, plan);
        }
    }

    /* Each layer's arrays belong to a manager of its own, which ends with the layer. */
    private NDArray hiddenStates(NDManager manager, StepRows rows, ResolvedPlan plan) {
        int highest =
                rows.sequences().stream().mapToInt(SequenceRows::total).max().orElseThrow() - 1;
        NDArray positions = TokenEmbedding.ids(manager, rows.positions());
        StepState state =
                new StepState(
                        plan,
                        rotary.rows(positions, highest),
                        AttentionShapes.of(config, rows.count()),
                        PoolRows.of(manager, rows.sequences()));
        NDArray x = embedding.forward(manager, rows, plan);
        NDArray delta = null;
        try (LayerStream.Pass pass = offload.begin()) {
            for (int i = 0; i < layers.size(); ++i) {
                boolean streamed = pass != null && pass.enter(i);
                try (NDManager layerManager = manager.newSubManager()) {
                    x.attach(layerManager);
                    delta = layers.get(i).forward(x, delta, state);
                    x.attach(manager);
                    delta.attach(manager);
                }
                if (streamed) {
                    pass.leave(i);
                }
            }
        }
        return delta == null ? x : x.addi(delta);
    }

    /**
     * Computes the block once, as DJL's {@code forward} does, and returns the result as the only
     * chunk; nothing where there is no input. Text comes token by token from translators, which
     * leave the model's steps to a generation engine; DJL asks for this interface before it lets
     * them.
     *
     * @param parameterStore the parameter store
     * @param inputs token ids [batch, sequence], or none
     * @param training must be false
     * @param params may hold a {@link BatchPlan} under {@link LoraLinear#PLAN}
     * @return logits [batch, sequence, vocabulary]
     */
    @Override
    public Iterator<NDList> forwardStreamIter(
            ParameterStore parameterStore,
            NDList inputs,
            boolean training,
            PairList<String, Object> params) {
        return inputs.isEmpty()
                ? Collections.emptyIterator()
                : List.of(forward(parameterStore, inputs, training, params)).iterator();
    }

    /** {@inheritDoc} */
    @Override
    protected NDList forwardInternal(
            ParameterStore parameterStore,
            NDList inputs,
            boolean training,
            PairList<String, Object> params) {
        if (training) {
            throw new UnsupportedOperationException("The model is for inference; train elsewhere");
        }
        NDArray ids = inputs.singletonOrThrow();
        Shape shape = ids.getShape();
        if (shape.dimension() != 2 || shape.size() == 0) {
            throw new LoraConfigurationException(
                    "Token ids have shape " + shape + "; expected [batch, sequence], not empty");
        }
        int batch = Math.toIntExact(shape.get(0));
        int length = Math.toIntExact(shape.get(1));
        int[] tokens = tokens(ids);
        List<AdapterMix> mixes = mixes(params, batch, length);
        NDManager manager = ids.getManager();
        List<KvCache> caches = new ArrayList<>(batch);
        int blocks = KvPool.blocksFor(length + mostVirtualTokens(mixes));
        try (KvPool pool = newKvPool(manager, Math.multiplyExact(batch, blocks))) {
            ForwardStep.Builder step = ForwardStep.builder().optAllPositions(true);
            for (int i = 0; i < batch; ++i) {
                caches.add(pool.newCache());
                step.addSequence(
                        caches.get(i),
                        BatchPlan.BASE,
                        Arrays.copyOfRange(tokens, i * length, (i + 1) * length));
            }
            try (NDArray logits = run(manager, step.build(), mixes)) {
                return new NDList(logits.reshape(new Shape(batch, length, config.vocabSize())));
            }
        } finally {
            caches.forEach(KvCache::close);
        }
    }

    private int mostVirtualTokens(List<AdapterMix> mixes) {
        int most = 0;
        for (AdapterMix mix : Set.copyOf(mixes)) {
            AdapterExtras extras = context.extrasOf(mix);
            most = Math.max(most, extras == null ? 0 : extras.virtualTokens());
        }
        return most;
    }

    private static int[] tokens(NDArray ids) {
        if (ids.getDataType() == DataType.INT32) {
            return ids.toIntArray();
        }
        if (ids.getDataType() != DataType.INT64) {
            throw new LoraConfigurationException(
                    "Token ids are of type " + ids.getDataType() + "; expected int64 or int32");
        }
        // an id that does not fit an int is not in the vocabulary either, as -1 is not
        return Arrays.stream(ids.toLongArray())
                .mapToInt(id -> id == (int) id ? (int) id : -1)
                .toArray();
    }

    private static List<AdapterMix> mixes(PairList<String, Object> params, int batch, int length) {
        int tokens = Math.multiplyExact(batch, length);
        Object plan = params == null ? null : params.get(LoraLinear.PLAN);
        if (plan == null) {
            return Collections.nCopies(tokens, AdapterMix.BASE);
        }
        if (!(plan instanceof BatchPlan batchPlan)) {
            throw new IllegalArgumentException(
                    LoraLinear.PLAN + " is a " + plan.getClass().getName() + ", not a BatchPlan");
        }
        int rows = batchPlan.rows();
        if (rows != batch && rows != tokens) {
            throw new IllegalArgumentException(
                    "The plan has "
                            + rows
                            + " rows; expected one for each row, "
                            + batch
                            + ", or token, "
                            + tokens);
        }
        BatchPlan ofTokens = batchPlan.repeatEach(tokens / rows);
        long[] starts = ofTokens.segmentStarts();
        List<AdapterMix> mixes = new ArrayList<>(tokens);
        for (int s = 0; s < ofTokens.segments(); ++s) {
            mixes.addAll(Collections.nCopies((int) (starts[s + 1] - starts[s]), ofTokens.mix(s)));
        }
        return mixes;
    }

    /** {@inheritDoc} */
    @Override
    public PairList<String, Shape> describeInput() {
        PairList<String, Shape> description = new PairList<>();
        description.add("input_ids", new Shape(-1, -1));
        return description;
    }

    /** {@inheritDoc} */
    @Override
    public Shape[] getOutputShapes(Shape[] inputShapes) {
        return new Shape[] {inputShapes[0].add(config.vocabSize())};
    }

    /**
     * Always throws: weights stay in their safetensors files.
     *
     * @param os ignored
     */
    @Override
    public void saveParameters(DataOutputStream os) {
        throw new UnsupportedOperationException("The weights stay in their safetensors files");
    }

    /**
     * Always throws: weights come from their safetensors files.
     *
     * @param manager ignored
     * @param is ignored
     */
    @Override
    public void loadParameters(NDManager manager, DataInputStream is) {
        throw new UnsupportedOperationException("The weights come from safetensors files");
    }
}
