/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import ai.djl.lora.LoraCompatibilityException;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraVariantException;
import ai.djl.lora.adapter.TokenizerComparison.Relation;
import ai.djl.lora.format.AdapterFiles;
import ai.djl.lora.format.FormatHints;
import ai.djl.lora.json.Message;
import ai.djl.lora.op.LoraModule;
import ai.djl.lora.op.ModelLayout;
import ai.djl.lora.safetensors.TensorInfo;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Loads adapters that PEFT and other trainers have saved, and refuses those that do not fit the
 * model whole.
 *
 * <p>PEFT itself is lenient: it loads what fits and leaves the rest out, so that an adapter of
 * another model answers as the base model would. Here each tensor must have its use and each module
 * that the configuration names its tensors, unless the {@link LoadingPolicy} names what may be
 * ignored.
 *
 * <p>First every tensor's name, type and shape is laid beside the model; only if nothing is wrong
 * is any data read, each tensor once.
 */
public final class AdapterLoader {

    /** Scales above this, or below its inverse, make a warning. */
    private static final double UNUSUAL_SCALE = 16;

    private final AdapterFiles files;
    private final LoadingPolicy policy;
    private final PeftConfig config;
    private final Placement placement;
    private final ScannedTensors tensors;
    private final List<Issue> issues = new ArrayList<>();
    private final long start = System.nanoTime();
    private String revision;
    private TokenizerComparison tokenizer;

    private AdapterLoader(AdapterFiles files, ModelLayout layout, LoadingPolicy policy) {
        this.files = files;
        this.policy = policy;
        config = PeftConfig.read(files, policy.variants());
        placement = new Placement(files, config, layout, policy);
        tensors = new ScannedTensors(files, placement);
    }

    /**
     * Loads an adapter and checks it against a model, strictly: every tensor must be used and none
     * may be missing.
     *
     * @param source the adapter's folder or file; see {@link AdapterFiles}
     * @param layout what of the model adapters may change
     * @return the adapter, whose bytes were read once into memory of its own
     * @throws LoraConfigurationException if a file is missing or not what it must be
     * @throws LoraVariantException if the adapter is of a kind that is not supported
     * @throws LoraCompatibilityException if the adapter does not fit the model, with the report's
     *     summary as its message
     */
    public static LoraAdapter load(Path source, ModelLayout layout) {
        return load(source, layout, LoadingPolicy.STRICT);
    }

    /**
     * Loads an adapter and checks it against a model.
     *
     * @param source the adapter's folder or file; see {@link AdapterFiles}
     * @param layout what of the model adapters may change
     * @param policy how strict to be
     * @return the adapter, whose bytes were read once into memory of its own
     * @throws LoraConfigurationException if a file is missing or not what it must be
     * @throws LoraVariantException if the adapter is of a kind that is not supported
     * @throws LoraCompatibilityException if the adapter does not fit the model or the policy, with
     *     the report's summary as its message
     */
    public static LoraAdapter load(Path source, ModelLayout layout, LoadingPolicy policy) {
        try (AdapterFiles files = open(source, layout, policy)) {
            return load(files, layout, policy);
        }
    }

    /**
     * Loads an adapter that is open and checks it against a model.
     *
     * @param files the adapter
     * @param layout what of the model adapters may change
     * @param policy how strict to be
     * @return the adapter, whose bytes were read once into memory of its own
     * @throws LoraConfigurationException if a file is not what it must be
     * @throws LoraVariantException if the adapter is of a kind that is not supported
     * @throws LoraCompatibilityException if the adapter does not fit the model or the policy, with
     *     the report's summary as its message
     */
    public static LoraAdapter load(AdapterFiles files, ModelLayout layout, LoadingPolicy policy) {
        return new AdapterLoader(files, layout, policy).load();
    }

    /**
     * Looks at an adapter without keeping its weights: each tensor's bytes are read once, in
     * pieces.
     *
     * @param source the adapter's folder or file; see {@link AdapterFiles}
     * @param layout what of the model adapters may change
     * @param policy how strict to be
     * @return what was found; an adapter that does not fit, or is of a kind that is not supported,
     *     makes a report of {@link Compatibility#NONE}
     * @throws LoraConfigurationException if a file is missing or not what it must be
     */
    public static LoadReport validate(Path source, ModelLayout layout, LoadingPolicy policy) {
        try (AdapterFiles files = open(source, layout, policy)) {
            return validate(files, layout, policy);
        } catch (LoraVariantException e) {
            return unsupported(source, e);
        }
    }

    /**
     * Looks at an adapter that is open without keeping its weights: each tensor's bytes are read
     * once, in pieces.
     *
     * @param files the adapter
     * @param layout what of the model adapters may change
     * @param policy how strict to be
     * @return what was found; an adapter that does not fit, or is of a kind that is not supported,
     *     makes a report of {@link Compatibility#NONE}
     * @throws LoraConfigurationException if a file is not what it must be
     */
    public static LoadReport validate(
            AdapterFiles files, ModelLayout layout, LoadingPolicy policy) {
        try {
            return new AdapterLoader(files, layout, policy).validate();
        } catch (LoraVariantException e) {
            return unsupported(files.source(), e);
        }
    }

    private static LoadReport unsupported(Path source, LoraVariantException e) {
        return LoadReport.builder(source)
                .addIssues(List.of(new Issue(Severity.ERROR, Issues.VARIANT, e.getMessage())))
                .build();
    }

    private static AdapterFiles open(Path source, ModelLayout layout, LoadingPolicy policy) {
        return hints(layout)
                .map(hints -> AdapterFiles.open(source, policy.limits(), hints))
                .orElseGet(() -> AdapterFiles.open(source, policy.limits()));
    }

    /** Returns the numbers of heads, as far as the layout shows them. */
    private static Optional<FormatHints> hints(ModelLayout layout) {
        ModelLayout.Attention attention = layout.attention().orElse(null);
        if (attention == null) {
            return Optional.empty();
        }
        return layout.linears().stream()
                .filter(linear -> linear.name().endsWith(".q_proj"))
                .findFirst()
                .map(LoraModule::outFeatures)
                .filter(out -> out % (attention.headDim() * attention.keyValueHeads()) == 0)
                .map(out -> new FormatHints(out / attention.headDim(), attention.keyValueHeads()));
    }

    private LoraAdapter load() {
        place();
        refuseUnlessAccepted(report());
        AdapterChanges.Builder builder = AdapterChanges.builder();
        placement.parts().forEach(part -> part.part().load(tensors, builder));
        scan();
        LoadReport report = report();
        refuseUnlessAccepted(report);
        return new LoraAdapter(files.source(), config, builder.build(), report);
    }

    private LoadReport validate() {
        place();
        LoadReport report = report();
        // of what is refused whatever is allowed the data need not be read
        if (report.compatibility() != Compatibility.NONE) {
            scan();
            report = report();
        }
        return report;
    }

    private void place() {
        issues.addAll(config.issues());
        files.notes().forEach(note -> addIssue(Severity.INFO, "format", note));
        config.reader().place(placement);
        placement.finish();
        checkCaps();
        checkScales();
        BaseFiles base = new BaseFiles(files, policy);
        issues.addAll(base.checkName(config));
        compareTokenizer(base);
        ValidationSubject subject =
                new ValidationSubject(config, placement.layout(), files.tensors(), report());
        policy.rules().forEach(rule -> issues.addAll(rule.check(subject)));
    }

    private void compareTokenizer(BaseFiles base) {
        try {
            tokenizer = base.compare().orElse(null);
        } catch (LoraConfigurationException e) {
            // the weights do not depend on it
            addIssue(Severity.WARNING, "tokenizer", e.getMessage());
        }
        if (tokenizer != null && tokenizer.addedTokens() == Relation.DIFFERENT) {
            addIssue(
                    Severity.WARNING,
                    "tokenizer",
                    "the adapter's folder has other added tokens than the base model");
        }
        if (tokenizer != null && tokenizer.chatTemplate() == Relation.DIFFERENT) {
            addIssue(
                    Severity.INFO,
                    "tokenizer",
                    "the adapter's folder has another chat template than the base model");
        }
    }

    private void checkCaps() {
        long bytes = files.tensors().values().stream().mapToLong(TensorInfo::size).sum();
        checkCap("the tensors have " + bytes + " bytes", bytes, policy.maxBytes());
        int count = files.tensors().size();
        checkCap("there are " + count + " tensors", count, policy.maxTensors());
        placement.parts().stream()
                .max(Comparator.comparingInt(Placement.PlacedPart::rank))
                .ifPresent(
                        part ->
                                checkCap(
                                        "module "
                                                + Message.quote(part.module())
                                                + " has the rank "
                                                + part.rank(),
                                        part.rank(),
                                        policy.maxRank()));
    }

    private void checkCap(String what, long found, long cap) {
        if (found > cap) {
            addIssue(Severity.ERROR, Issues.CAP, what + ", allowed are " + cap);
        }
    }

    private void checkScales() {
        List<Placement.PlacedPart> unusual =
                placement.parts().stream()
                        .filter(part -> part.rank() > 0)
                        .filter(
                                part ->
                                        Math.abs(part.scale()) > UNUSUAL_SCALE
                                                || Math.abs(part.scale()) < 1 / UNUSUAL_SCALE)
                        .toList();
        if (!unusual.isEmpty()) {
            addIssue(
                    Severity.WARNING,
                    "scale",
                    "the scale of module "
                            + Message.quote(unusual.get(0).module())
                            + " is "
                            + (float) unusual.get(0).scale()
                            + (unusual.size() > 1
                                    ? ", and " + (unusual.size() - 1) + " more are as unusual"
                                    : ", which is unusual"));
        }
    }

    /** Reads what has not been read, names the content, and checks what takes the data. */
    private void scan() {
        tensors.scanRest();
        revision =
                ContentHash.of(
                        config.peftType(),
                        placement.settings(),
                        files.tensors(),
                        tensors.digests());
        issues.addAll(tensors.issues());
        placement.equalTensors().forEach(this::checkEqual);
        policy.revision()
                .filter(pin -> !pin.equals(revision))
                .ifPresent(
                        pin ->
                                addIssue(
                                        Severity.ERROR,
                                        Issues.REVISION,
                                        "the revision is " + revision + ", expected " + pin));
        files.statedRevision()
                .filter(stated -> !stated.equals(revision))
                .ifPresent(
                        stated ->
                                addIssue(
                                        Severity.ERROR,
                                        Issues.REVISION,
                                        "the revision is "
                                                + revision
                                                + ", the file says "
                                                + stated));
        List<Placement.PlacedPart> parts = placement.parts();
        if (!parts.isEmpty() && parts.stream().allMatch(this::isUnchanged)) {
            addIssue(
                    Severity.WARNING,
                    "unchanged",
                    "a factor of every module's product is zero: the adapter changes nothing");
        }
    }

    private void checkEqual(String name, String other) {
        if (!tensors.digests().get(name).equals(tensors.digests().get(other))) {
            addIssue(
                    Severity.ERROR,
                    Issues.TENSOR_VALUE,
                    placement.show(name)
                            + " and "
                            + placement.show(other)
                            + " hold different numbers, but the model has one weight for both");
        }
    }

    private boolean isUnchanged(Placement.PlacedPart part) {
        return part.factors().stream().anyMatch(tensors::isZero);
    }

    private void addIssue(Severity severity, String code, String message) {
        issues.add(new Issue(severity, code, message));
    }

    private LoadReport report() {
        Set<Issue> all = new LinkedHashSet<>(placement.issues());
        all.addAll(issues);
        return LoadReport.builder(files.source())
                .addModules(modules())
                .addIgnored(placement.unusedTensors())
                .addMissing(placement.missing())
                .addIssues(all)
                .optUsedTensors(placement.claimedTensors().size())
                .optRevision(revision)
                .optTokenizer(tokenizer)
                .optLoadTime(Duration.ofNanos(System.nanoTime() - start))
                .build();
    }

    private List<ModuleReport> modules() {
        Map<String, List<Placement.PlacedPart>> byModule = new LinkedHashMap<>();
        placement
                .parts()
                .forEach(
                        part ->
                                byModule.computeIfAbsent(part.module(), key -> new ArrayList<>())
                                        .add(part));
        return byModule.values().stream().map(AdapterLoader::module).toList();
    }

    private static ModuleReport module(List<Placement.PlacedPart> parts) {
        Placement.PlacedPart product =
                Collections.max(parts, Comparator.comparingInt(Placement.PlacedPart::rank));
        List<TensorInfo> all = parts.stream().flatMap(part -> part.tensors().stream()).toList();
        TensorInfo largest = Collections.max(all, Comparator.comparingLong(TensorInfo::size));
        return new ModuleReport(
                product.module(),
                String.join(
                        ", ",
                        parts.stream().map(Placement.PlacedPart::variant).distinct().toList()),
                product.rank(),
                product.scale(),
                largest.type().elementType().orElseThrow().label(),
                all.stream().mapToLong(TensorInfo::size).sum());
    }

    private static void refuseUnlessAccepted(LoadReport report) {
        if (!report.isAccepted()) {
            throw new LoraCompatibilityException(report.toString());
        }
    }
}
