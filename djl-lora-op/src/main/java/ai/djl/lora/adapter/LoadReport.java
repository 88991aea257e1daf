/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import ai.djl.lora.json.Message;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * What became of each part of an adapter when it was laid beside a model.
 *
 * <p><b>Score.</b> 0 where the compatibility is {@link Compatibility#NONE}; otherwise the share of
 * the adapter's tensors that are used, {@code used / (used + ignored + missing)}, less 0.02 for
 * each warning, and at least 0.
 */
public final class LoadReport {

    private static final int SHOWN = 3;
    private static final double WARNING_COSTS = 0.02;

    private final Path source;
    private final Optional<String> revision;
    private final List<ModuleReport> modules;
    private final List<String> ignored;
    private final List<String> missing;
    private final List<Issue> issues;
    private final Compatibility compatibility;
    private final double score;
    private final List<String> reasons;
    private final int usedTensors;
    private final Duration loadTime;
    private final Optional<TokenizerComparison> tokenizer;

    private LoadReport(Builder builder) {
        source = builder.source;
        revision = Optional.ofNullable(builder.revision);
        modules = List.copyOf(builder.modules);
        ignored = List.copyOf(builder.ignored);
        missing = List.copyOf(builder.missing);
        issues = List.copyOf(builder.issues);
        usedTensors = builder.usedTensors;
        loadTime = builder.loadTime;
        tokenizer = Optional.ofNullable(builder.tokenizer);
        boolean refused =
                modules.isEmpty()
                        || issues.stream()
                                .anyMatch(
                                        issue ->
                                                issue.severity() == Severity.ERROR
                                                        && !Issues.EASED.contains(issue.code()));
        if (refused) {
            compatibility = Compatibility.NONE;
        } else {
            compatibility =
                    ignored.isEmpty() && missing.isEmpty()
                            ? Compatibility.FULL
                            : Compatibility.PARTIAL;
        }
        reasons = new ArrayList<>();
        score = score(usedTensors);
    }

    /**
     * Returns a builder.
     *
     * @param source the adapter's folder or file
     * @return the builder
     */
    static Builder builder(Path source) {
        return new Builder(source);
    }

    /**
     * Returns where the adapter came from.
     *
     * @return the folder or file
     */
    public Path source() {
        return source;
    }

    /**
     * Returns the name of the adapter's content; see {@link LoraAdapter#revision}.
     *
     * @return 64 hexadecimal digits, or empty where the adapter was refused before its data was
     *     read
     */
    public Optional<String> revision() {
        return revision;
    }

    /**
     * Returns how much of the adapter acts in the model.
     *
     * @return the level
     */
    public Compatibility compatibility() {
        return compatibility;
    }

    /**
     * Returns how well the adapter fits, in one number; see this class's description.
     *
     * @return from 0 to 1
     */
    public double score() {
        return score;
    }

    /**
     * Returns what the score lost, and for what.
     *
     * @return one line each; empty for a score of 1
     */
    public List<String> reasons() {
        return List.copyOf(reasons);
    }

    /**
     * Returns what the adapter does to each module.
     *
     * @return the modules in the model's order; of a refused adapter, those whose tensors fit
     */
    public List<ModuleReport> modules() {
        return modules;
    }

    /**
     * Returns the names of the modules that the adapter changes.
     *
     * @return the names in the model's order; of a refused adapter, those whose tensors fit
     */
    public List<String> applied() {
        return modules.stream().map(ModuleReport::name).toList();
    }

    /**
     * Returns the tensors that nothing uses.
     *
     * @return their normalised names, in the file's order
     */
    public List<String> ignored() {
        return ignored;
    }

    /**
     * Returns what the configuration asks for and the file lacks.
     *
     * @return names of modules that have no tensor at all, and of tensors that others of their
     *     module wait for
     */
    public List<String> missing() {
        return missing;
    }

    /**
     * Returns everything that was found.
     *
     * @return the issues, in the order in which they were found
     */
    public List<Issue> issues() {
        return issues;
    }

    /**
     * Returns the messages of one severity.
     *
     * @param severity the severity
     * @return the messages, in the order in which they were found
     */
    public List<String> messages(Severity severity) {
        return issues.stream()
                .filter(issue -> issue.severity() == severity)
                .map(Issue::message)
                .toList();
    }

    /**
     * Returns how long loading or validating took.
     *
     * @return the time
     */
    public Duration loadTime() {
        return loadTime;
    }

    /**
     * Returns how the files beside the weights relate to the base model's.
     *
     * @return the comparison, or empty where the policy names no base model's folder or the adapter
     *     has no such files
     */
    public Optional<TokenizerComparison> tokenizer() {
        return tokenizer;
    }

    /**
     * Returns whether the adapter may be used under the policy that it was looked at with.
     *
     * @return whether it changes something and there is no error
     */
    public boolean isAccepted() {
        return !modules.isEmpty() && messages(Severity.ERROR).isEmpty();
    }

    /**
     * Returns this report with what was found afterwards, such as that the adapter's answers are
     * not those of its training.
     *
     * @param found the issues; an error takes the compatibility to {@link Compatibility#NONE}
     * @return a new report
     */
    public LoadReport with(Issue... found) {
        Builder builder =
                builder(source)
                        .addModules(modules)
                        .addIgnored(ignored)
                        .addMissing(missing)
                        .addIssues(issues)
                        .addIssues(List.of(found))
                        .optUsedTensors(usedTensors)
                        .optLoadTime(loadTime);
        revision.ifPresent(builder::optRevision);
        tokenizer.ifPresent(builder::optTokenizer);
        return builder.build();
    }

    /**
     * Returns the report as JSON.
     *
     * @return an object with {@code source}, {@code compatibility} (full, partial, none), {@code
     *     accepted}, {@code score}, {@code reasons}, {@code revision} (null where it is not known),
     *     {@code modules} (name, variant, rank, scale, dtype, bytes), {@code applied}, {@code
     *     ignored}, {@code missing}, {@code issues} (severity, code, message), {@code
     *     load_seconds}, {@code tokenizer} (tokenizer, added_tokens, chat_template; null where
     *     there is none)
     */
    public JsonObject toJson() {
        JsonObject json = new JsonObject();
        json.addProperty("source", source.toString());
        json.addProperty("compatibility", lower(compatibility));
        json.addProperty("accepted", isAccepted());
        json.addProperty("score", score);
        json.add("reasons", array(reasons));
        json.addProperty("revision", revision.orElse(null));
        JsonArray moduleArray = new JsonArray();
        modules.forEach(module -> moduleArray.add(json(module)));
        json.add("modules", moduleArray);
        json.add("applied", array(applied()));
        json.add("ignored", array(ignored));
        json.add("missing", array(missing));
        JsonArray issueArray = new JsonArray();
        issues.forEach(issue -> issueArray.add(json(issue)));
        json.add("issues", issueArray);
        json.addProperty("load_seconds", loadTime.toNanos() / 1e9);
        json.add("tokenizer", tokenizer.map(LoadReport::json).orElse(null));
        return json;
    }

    /**
     * Returns the report on one line, with at most a handful of errors and warnings.
     *
     * @return the summary
     */
    @Override
    public String toString() {
        StringBuilder line = new StringBuilder(Message.oneLine(source.toString()));
        line.append(isAccepted() ? ": accepted" : ": refused");
        append(line, "errors", messages(Severity.ERROR));
        line.append(", applied to ").append(modules.size()).append(" modules");
        append(line, "warnings", messages(Severity.WARNING));
        return line.toString();
    }

    private double score(int used) {
        if (compatibility == Compatibility.NONE) {
            reasons.add("1: the adapter is refused");
            return 0;
        }
        int unused = ignored.size() + missing.size();
        double lost = (double) unused / (used + unused);
        if (unused > 0) {
            reasons.add(
                    String.format(
                            Locale.ROOT,
                            "%.3f: of %d tensors %d are ignored and %d missing",
                            lost,
                            used + unused,
                            ignored.size(),
                            missing.size()));
        }
        int warnings = messages(Severity.WARNING).size();
        if (warnings > 0) {
            reasons.add(
                    String.format(
                            Locale.ROOT, "%.2f: %d warnings", warnings * WARNING_COSTS, warnings));
        }
        return Math.max(0, 1 - lost - warnings * WARNING_COSTS);
    }

    private static String lower(Enum<?> value) {
        return value.name().toLowerCase(Locale.ROOT);
    }

    private static JsonArray array(List<String> texts) {
        JsonArray array = new JsonArray();
        texts.forEach(array::add);
        return array;
    }

    private static JsonObject json(ModuleReport module) {
        JsonObject json = new JsonObject();
        json.addProperty("name", module.name());
        json.addProperty("variant", module.variant());
        json.addProperty("rank", module.rank());
        json.addProperty("scale", module.scale());
        json.addProperty("dtype", module.dtype());
        json.addProperty("bytes", module.bytes());
        return json;
    }

    private static JsonObject json(Issue issue) {
        JsonObject json = new JsonObject();
        json.addProperty("severity", lower(issue.severity()));
        json.addProperty("code", issue.code());
        json.addProperty("message", issue.message());
        return json;
    }

    private static JsonObject json(TokenizerComparison comparison) {
        JsonObject json = new JsonObject();
        json.addProperty("tokenizer", lower(comparison.tokenizer()));
        json.addProperty("added_tokens", lower(comparison.addedTokens()));
        json.addProperty("chat_template", lower(comparison.chatTemplate()));
        return json;
    }

    private static void append(StringBuilder line, String kind, List<String> entries) {
        if (entries.isEmpty()) {
            return;
        }
        line.append(", ").append(entries.size()).append(' ').append(kind).append(" (");
        line.append(
                entries.stream()
                        .limit(SHOWN)
                        .map(Message::oneLine)
                        .collect(Collectors.joining("; ")));
        if (entries.size() > SHOWN) {
            line.append("; and ").append(entries.size() - SHOWN).append(" more");
        }
        line.append(')');
    }

    /** Builds a report. */
    static final class Builder {

        private final Path source;
        private final List<ModuleReport> modules = new ArrayList<>();
        private final List<String> ignored = new ArrayList<>();
        private final List<String> missing = new ArrayList<>();
        private final List<Issue> issues = new ArrayList<>();
        private int usedTensors;
        private String revision;
        private Duration loadTime = Duration.ZERO;
        private TokenizerComparison tokenizer;

        private Builder(Path source) {
            this.source = source;
        }

        /** Adds modules that the adapter changes. */
        Builder addModules(Collection<ModuleReport> added) {
            modules.addAll(added);
            return this;
        }

        /** Adds tensors that nothing uses. */
        Builder addIgnored(Collection<String> tensors) {
            ignored.addAll(tensors);
            return this;
        }

        /** Adds what is asked for and not there. */
        Builder addMissing(Collection<String> names) {
            missing.addAll(names);
            return this;
        }

        /** Adds issues. */
        Builder addIssues(Collection<Issue> added) {
            issues.addAll(added);
            return this;
        }

        /** Sets how many tensors are used. */
        Builder optUsedTensors(int count) {
            usedTensors = count;
            return this;
        }

        /** Sets the content's name. */
        Builder optRevision(String hash) {
            revision = hash;
            return this;
        }

        /** Sets how long it took. */
        Builder optLoadTime(Duration time) {
            loadTime = time;
            return this;
        }

        /** Sets how the files beside the weights relate to the base model's. */
        Builder optTokenizer(TokenizerComparison comparison) {
            tokenizer = comparison;
            return this;
        }

        /** Builds the report. */
        LoadReport build() {
            return new LoadReport(this);
        }
    }
}
