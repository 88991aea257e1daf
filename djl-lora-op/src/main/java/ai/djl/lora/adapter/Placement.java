/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import ai.djl.lora.format.AdapterFiles;
import ai.djl.lora.json.Message;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.ModelLayout;
import ai.djl.lora.safetensors.TensorInfo;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

/**
 * An adapter's tensors beside a model: which of them something uses and for what, and what is wrong
 * or missing. Knows names, types and shapes alone.
 */
public final class Placement {

    /** For how many tensors without a module the nearest modules are looked up. */
    private static final int EXPLAINED = 3;

    private final AdapterFiles files;
    private final PeftConfig config;
    private final ModelLayout layout;
    private final LoadingPolicy policy;
    private final Map<String, LoraModule> linears = new LinkedHashMap<>();
    private final Set<String> claimed = new LinkedHashSet<>();
    private final Map<String, String> reasons = new HashMap<>();
    private final Set<String> missing = new LinkedHashSet<>();
    private final List<Issue> issues = new ArrayList<>();
    private final Map<String, String> settings = new TreeMap<>();
    private final List<PlacedPart> parts = new ArrayList<>();
    private final Map<String, String> equals = new LinkedHashMap<>();
    private int explained;

    /**
     * Constructs a new {@code Placement} instance.
     *
     * @param files the adapter
     * @param config its configuration
     * @param layout the model
     * @param policy how strict to be
     */
    Placement(AdapterFiles files, PeftConfig config, ModelLayout layout, LoadingPolicy policy) {
        this.files = files;
        this.config = config;
        this.layout = layout;
        this.policy = policy;
        for (LoraModule module : layout.linears()) {
            if (linears.put(module.name(), module) != null) {
                throw new IllegalArgumentException(
                        "The module " + module.name() + " occurs twice in the model");
            }
        }
    }

    /**
     * Returns the adapter's configuration.
     *
     * @return the configuration
     */
    public PeftConfig config() {
        return config;
    }

    /**
     * Returns what of the model adapters may change.
     *
     * @return the layout
     */
    public ModelLayout layout() {
        return layout;
    }

    /**
     * Returns how strict to be.
     *
     * @return the policy
     */
    public LoadingPolicy policy() {
        return policy;
    }

    /**
     * Returns the adapter's tensors.
     *
     * @return the tensors by their normalised names, in the file's order
     */
    public Map<String, TensorInfo> tensors() {
        return files.tensors();
    }

    /**
     * Returns a linear layer of the model.
     *
     * @param name its name
     * @return the layer, or empty
     */
    public Optional<LoraModule> linear(String name) {
        return Optional.ofNullable(linears.get(name));
    }

    /**
     * Returns the model's embedding, if it has that name.
     *
     * @param name the name
     * @return the embedding, or empty
     */
    public Optional<ModelLayout.Embedding> embedding(String name) {
        return layout.embedding().filter(embedding -> embedding.name().equals(name));
    }

    /**
     * Returns whether a module is one that adapters may change.
     *
     * @param name the name
     * @return whether it is a linear layer, a norm or the embedding
     */
    public boolean hasModule(String name) {
        return linears.containsKey(name)
                || layout.norms().containsKey(name)
                || embedding(name).isPresent();
    }

    /**
     * Returns the modules that have tensors of certain parameters.
     *
     * @param parameters the parameters' names, which end the tensors' names behind a dot
     * @return for each module its parameters, in the file's order
     */
    public Map<String, Map<String, TensorInfo>> byModule(Set<String> parameters) {
        Map<String, Map<String, TensorInfo>> modules = new LinkedHashMap<>();
        tensors()
                .forEach(
                        (name, tensor) ->
                                parameterOf(name, parameters)
                                        .ifPresent(
                                                parameter ->
                                                        modules.computeIfAbsent(
                                                                        moduleOf(name, parameter),
                                                                        key ->
                                                                                new LinkedHashMap<>())
                                                                .put(parameter, tensor)));
        return modules;
    }

    private static String moduleOf(String tensor, String parameter) {
        return tensor.substring(0, tensor.length() - parameter.length() - 1);
    }

    /** Returns the longest of the parameters that a tensor's name ends in. */
    private static Optional<String> parameterOf(String tensor, Set<String> parameters) {
        return parameters.stream()
                .filter(
                        parameter ->
                                tensor.endsWith('.' + parameter)
                                        && tensor.length() > parameter.length() + 1)
                .max(Comparator.comparing(String::length));
    }

    /**
     * Begins a part: what the adapter does to one module, of tensors that belong together. A part
     * that is never {@linkplain PartBuilder#apply applied} claims tensors that no module has to
     * itself.
     *
     * @param module the module's name
     * @param variant what the report calls it
     * @param rank the rank in the file, 0 for none
     * @param scale the factor of the product, 1 for none
     * @return the part, for which nothing is claimed yet
     */
    public PartBuilder part(String module, String variant, int rank, double scale) {
        return new PartBuilder(module, variant, rank, scale);
    }

    /**
     * Notes why a tensor is used by nothing. Counts where nothing claims it.
     *
     * @param tensor its normalised name
     * @param reason what follows the tensor's name in a message, such as {@code belongs to no
     *     module}
     */
    public void unused(String tensor, String reason) {
        reasons.putIfAbsent(tensor, reason);
    }

    /**
     * Notes that a module has no tensor, though the configuration names it.
     *
     * @param module the module's name
     */
    public void missingModule(String module) {
        addMissing(
                module,
                Issues.MODULE_MISSING,
                "module "
                        + Message.quote(module)
                        + " has no tensors, though the configuration names it");
    }

    private void addMissing(String name, String code, String message) {
        if (missing.add(name)) {
            addIssue(policy.allowsMissing(name) ? Severity.WARNING : Severity.ERROR, code, message);
        }
    }

    /**
     * Adds an issue.
     *
     * @param severity how grave it is
     * @param code what kind of thing it is
     * @param message one line
     */
    public void addIssue(Severity severity, String code, String message) {
        issues.add(new Issue(severity, code, message));
    }

    /**
     * Notes something of the configuration that changes what the adapter computes, for its
     * revision. What means the same must be noted the same, whatever fields said it.
     *
     * @param key what it is
     * @param value its value
     */
    public void addSetting(String key, String value) {
        settings.put(key, value);
    }

    /**
     * Refuses the adapter unless two tensors turn out to hold the same bytes, where the model has
     * one weight for both.
     *
     * @param tensor a tensor's normalised name
     * @param other another's
     */
    public void requireEqual(String tensor, String other) {
        equals.put(tensor, other);
    }

    /** Returns which tensors must hold the same bytes. */
    Map<String, String> equalTensors() {
        return equals;
    }

    /**
     * Returns how messages call the adapter.
     *
     * @return its folder or file
     */
    public String source() {
        return Message.oneLine(files.source().toString());
    }

    /**
     * Returns how messages call a tensor.
     *
     * @param name its normalised name
     * @return its name in the file, in quotes
     */
    public String show(String name) {
        return "tensor " + Message.quote(files.originalName(name));
    }

    /** Notes what nothing has claimed. To be called when everything is placed. */
    void finish() {
        for (String name : unusedTensors()) {
            String reason = reasons.containsKey(name) ? reasons.get(name) : explain(name);
            addIssue(
                    policy.allowsUnused(name) ? Severity.WARNING : Severity.ERROR,
                    Issues.TENSOR_UNUSED,
                    show(name) + ' ' + reason);
        }
    }

    private String explain(String name) {
        int dot = name.lastIndexOf('.');
        String module = dot < 0 ? "" : name.substring(0, dot);
        while (!module.isEmpty()) {
            if (hasModule(module)) {
                return "is none that an adapter of type " + config.peftType() + " has there";
            }
            int before = module.lastIndexOf('.');
            module = before < 0 ? "" : module.substring(0, before);
        }
        return "belongs to no module of the model"
                + nearby(dot < 0 ? name : name.substring(0, dot));
    }

    /**
     * Returns what to say of a module that the model does not have.
     *
     * @param name its name
     * @return the nearest names in brackets, or nothing
     */
    public String nearby(String name) {
        if (++explained > EXPLAINED) {
            return "";
        }
        Set<String> names = new LinkedHashSet<>(linears.keySet());
        layout.embedding().ifPresent(embedding -> names.add(embedding.name()));
        names.addAll(layout.norms().keySet());
        List<String> nearest = NearestNames.of(name, names);
        return nearest.isEmpty()
                ? ", which has none"
                : " (nearest are " + String.join(", ", nearest) + ")";
    }

    /** Returns the tensors that nothing uses, in the file's order. */
    List<String> unusedTensors() {
        return tensors().keySet().stream().filter(name -> !claimed.contains(name)).toList();
    }

    /** Returns the tensors that something uses. */
    Set<String> claimedTensors() {
        return Collections.unmodifiableSet(claimed);
    }

    Set<String> missing() {
        return missing;
    }

    List<Issue> issues() {
        return issues;
    }

    Map<String, String> settings() {
        return settings;
    }

    /** Returns the parts in the model's order: the embedding, linear layers, norms, the rest. */
    List<PlacedPart> parts() {
        Map<String, Integer> order = new LinkedHashMap<>();
        layout.embedding().ifPresent(embedding -> order.put(embedding.name(), order.size()));
        linears.keySet().forEach(name -> order.put(name, order.size()));
        layout.norms().keySet().forEach(name -> order.put(name, order.size()));
        List<PlacedPart> sorted = new ArrayList<>(parts);
        sorted.sort(
                Comparator.comparing(part -> order.getOrDefault(part.module(), Integer.MAX_VALUE)));
        return sorted;
    }

    /**
     * A part that is whole.
     *
     * @param module the module's name
     * @param variant what the report calls it
     * @param rank the rank in the file
     * @param scale the factor of the product
     * @param tensors what it takes
     * @param factors tensors that make the part change nothing where one of them is zero
     * @param part what loads it
     */
    record PlacedPart(
            String module,
            String variant,
            int rank,
            double scale,
            List<TensorInfo> tensors,
            List<String> factors,
            ModulePart part) {}

    /** Claims the tensors of a part. */
    public final class PartBuilder {

        private final String module;
        private final String variant;
        private final int rank;
        private final double scale;
        private final List<TensorInfo> found = new ArrayList<>();
        private final List<String> factors = new ArrayList<>();
        private boolean fits = true;
        private boolean whole = true;

        private PartBuilder(String module, String variant, int rank, double scale) {
            this.module = module;
            this.variant = variant;
            this.rank = rank;
            this.scale = scale;
        }

        /**
         * Claims a tensor that must be there.
         *
         * @param tensor its normalised name
         * @param why what the shape follows from, such as {@code by the module's shape [4, 6]}
         * @param shape the shape that it must have
         * @return this builder
         */
        public PartBuilder require(String tensor, String why, long... shape) {
            TensorInfo info = tensors().get(tensor);
            if (info == null) {
                whole = false;
                addMissing(
                        tensor,
                        Issues.TENSOR_MISSING,
                        "module "
                                + Message.quote(module)
                                + " has no tensor "
                                + Message.quote(tensor));
                return this;
            }
            check(info, why, shape);
            return this;
        }

        /**
         * Claims a tensor that must be there and without which, or all zero, the part changes
         * nothing.
         *
         * @param tensor its normalised name
         * @param why what the shape follows from
         * @param shape the shape that it must have
         * @return this builder
         */
        public PartBuilder requireFactor(String tensor, String why, long... shape) {
            factors.add(tensor);
            return require(tensor, why, shape);
        }

        /**
         * Returns whether everything that was required is there and as it must be.
         *
         * @return whether it is
         */
        public boolean isWhole() {
            return whole && fits;
        }

        /**
         * Ends the part. Where something is missing, the tensors that are there are unused.
         *
         * @param part what loads it, called once if the adapter is accepted
         */
        public void apply(ModulePart part) {
            if (!whole) {
                for (TensorInfo tensor : found) {
                    claimed.remove(tensor.name());
                    unused(
                            tensor.name(),
                            "cannot be used without the tensors that its module lacks");
                }
            } else if (fits) {
                parts.add(
                        new PlacedPart(
                                module,
                                variant,
                                rank,
                                scale,
                                List.copyOf(found),
                                List.copyOf(factors),
                                part));
            }
        }

        private void check(TensorInfo info, String why, long... shape) {
            claimed.add(info.name());
            if (info.type().elementType().isEmpty()) {
                fits = false;
                addIssue(
                        Severity.ERROR,
                        Issues.TENSOR_TYPE,
                        show(info.name())
                                + " has the type "
                                + info.type()
                                + ", allowed are F32, F16 and BF16");
            } else if (!Arrays.equals(shape, info.shape())) {
                fits = false;
                addIssue(
                        Severity.ERROR,
                        Issues.TENSOR_SHAPE,
                        show(info.name())
                                + " has the shape "
                                + showShape(info)
                                + ", expected "
                                + Arrays.toString(shape)
                                + ' '
                                + why);
            } else {
                found.add(info);
            }
        }
    }

    /**
     * Returns how messages show a tensor's shape.
     *
     * @param tensor the tensor
     * @return the dimensions in brackets, or how many there are
     */
    public static String showShape(TensorInfo tensor) {
        long[] shape = tensor.shape();
        return shape.length <= 8 ? Arrays.toString(shape) : "of " + shape.length + " dimensions";
    }
}
