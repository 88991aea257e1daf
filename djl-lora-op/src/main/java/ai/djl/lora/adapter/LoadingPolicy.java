/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import ai.djl.lora.format.FormatLimits;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * How strict the loading of adapters is. By default every tensor must be used and none may be
 * missing; that can be eased only by naming what may be ignored.
 *
 * <p>Instances are immutable.
 */
public final class LoadingPolicy {

    /**
     * Nothing may be ignored or missing, and nothing is capped but what {@link FormatLimits} caps.
     */
    public static final LoadingPolicy STRICT = builder().build();

    private final List<Pattern> unused;
    private final List<Pattern> missing;
    private final Optional<String> revision;
    private final long maxBytes;
    private final int maxRank;
    private final int maxExpandedRank;
    private final int maxTensors;
    private final FormatLimits limits;
    private final List<ValidationRule> rules;
    private final VariantRegistry variants;
    private final Optional<Path> baseDirectory;
    private final Optional<String> baseModel;

    private LoadingPolicy(Builder builder) {
        unused = List.copyOf(builder.unused);
        missing = List.copyOf(builder.missing);
        revision = Optional.ofNullable(builder.revision);
        maxBytes = builder.maxBytes;
        maxRank = builder.maxRank;
        maxExpandedRank = builder.maxExpandedRank;
        maxTensors = builder.maxTensors;
        limits = builder.limits;
        rules = List.copyOf(builder.rules);
        variants = builder.variants == null ? VariantRegistry.discover() : builder.variants;
        baseDirectory = Optional.ofNullable(builder.baseDirectory);
        baseModel = Optional.ofNullable(builder.baseModel);
    }

    private LoadingPolicy(LoadingPolicy other, int maxRank) {
        unused = other.unused;
        missing = other.missing;
        revision = other.revision;
        maxBytes = other.maxBytes;
        this.maxRank = maxRank;
        maxExpandedRank = other.maxExpandedRank;
        maxTensors = other.maxTensors;
        limits = other.limits;
        rules = other.rules;
        variants = other.variants;
        baseDirectory = other.baseDirectory;
        baseModel = other.baseModel;
    }

    /**
     * Returns this policy with a cap on the rank that may be lower than its own.
     *
     * @param rank the highest rank that is allowed beside what this policy allows
     * @return a policy that allows what both allow
     */
    public LoadingPolicy capRank(int rank) {
        return rank >= maxRank ? this : new LoadingPolicy(this, rank);
    }

    /**
     * Returns a builder of a policy that is strict until something eases it.
     *
     * @return the builder
     */
    public static Builder builder() {
        return new Builder();
    }

    /**
     * Returns whether a tensor may be left out.
     *
     * @param tensor its normalised name
     * @return whether an expression of {@link Builder#allowUnused} matches
     */
    public boolean allowsUnused(String tensor) {
        return unused.stream().anyMatch(pattern -> pattern.matcher(tensor).matches());
    }

    /**
     * Returns whether a module's tensors, or one tensor, may be missing.
     *
     * @param name the name of the module or tensor, as in {@link LoadReport#missing}
     * @return whether an expression of {@link Builder#allowMissing} matches
     */
    public boolean allowsMissing(String name) {
        return missing.stream().anyMatch(pattern -> pattern.matcher(name).matches());
    }

    /**
     * Returns the revision that adapters must have.
     *
     * @return 64 hexadecimal digits, or empty
     */
    public Optional<String> revision() {
        return revision;
    }

    /**
     * Returns how many bytes the tensors of an adapter may have in its file.
     *
     * @return the cap
     */
    public long maxBytes() {
        return maxBytes;
    }

    /**
     * Returns how large the rank of a product in the file may be.
     *
     * @return the cap
     */
    public int maxRank() {
        return maxRank;
    }

    /**
     * Returns how large the rank of a product may be that LoHa or LoKr is expanded to.
     *
     * @return the cap
     */
    public int maxExpandedRank() {
        return maxExpandedRank;
    }

    /**
     * Returns how many tensors an adapter may have.
     *
     * @return the cap
     */
    public int maxTensors() {
        return maxTensors;
    }

    /**
     * Returns what files may ask for.
     *
     * @return the limits
     */
    public FormatLimits limits() {
        return limits;
    }

    /**
     * Returns the user's own checks.
     *
     * @return the rules, in the order in which they were added
     */
    public List<ValidationRule> rules() {
        return rules;
    }

    /**
     * Returns the variants that can be loaded.
     *
     * @return the registry
     */
    public VariantRegistry variants() {
        return variants;
    }

    /**
     * Returns where the base model lies, whose tokenizer is compared with the adapter's.
     *
     * @return the folder, or empty
     */
    public Optional<Path> baseDirectory() {
        return baseDirectory;
    }

    /**
     * Returns what the base model is called, for comparison with {@code base_model_name_or_path}.
     *
     * @return the name, or empty
     */
    public Optional<String> baseModel() {
        return baseModel;
    }

    /** Builds a {@code LoadingPolicy}. */
    public static final class Builder {

        private final List<Pattern> unused = new ArrayList<>();
        private final List<Pattern> missing = new ArrayList<>();
        private final List<ValidationRule> rules = new ArrayList<>();
        private String revision;
        private long maxBytes = Long.MAX_VALUE;
        private int maxRank = Integer.MAX_VALUE;
        private int maxExpandedRank = 512;
        private int maxTensors = Integer.MAX_VALUE;
        private FormatLimits limits = FormatLimits.DEFAULTS;
        private VariantRegistry variants;
        private Path baseDirectory;
        private String baseModel;

        private Builder() {}

        /**
         * Names tensors that may be left out where nothing in the model uses them.
         *
         * @param expression a regular expression that must match a tensor's whole normalised name
         * @return this builder
         * @throws java.util.regex.PatternSyntaxException if it is no regular expression
         */
        public Builder allowUnused(String expression) {
            unused.add(Pattern.compile(expression));
            return this;
        }

        /**
         * Names what may be missing.
         *
         * @param expression a regular expression that must match the whole name of a module or
         *     tensor, as {@link LoadReport#missing} lists them
         * @return this builder
         * @throws java.util.regex.PatternSyntaxException if it is no regular expression
         */
        public Builder allowMissing(String expression) {
            missing.add(Pattern.compile(expression));
            return this;
        }

        /**
         * Sets the revision that an adapter must have.
         *
         * @param revision 64 hexadecimal digits
         * @return this builder
         * @throws IllegalArgumentException if it is anything else
         */
        public Builder optRevision(String revision) {
            if (!revision.matches("[0-9a-f]{64}")) {
                throw new IllegalArgumentException(
                        "A revision has 64 hexadecimal digits, found " + revision);
            }
            this.revision = revision;
            return this;
        }

        /**
         * Sets how many bytes the tensors of an adapter may have in its file.
         *
         * @param maxBytes the cap, positive
         * @return this builder
         */
        public Builder optMaxBytes(long maxBytes) {
            this.maxBytes = positive("maxBytes", maxBytes);
            return this;
        }

        /**
         * Sets how large the rank of a product in the file may be.
         *
         * @param maxRank the cap, positive
         * @return this builder
         */
        public Builder optMaxRank(int maxRank) {
            this.maxRank = (int) positive("maxRank", maxRank);
            return this;
        }

        /**
         * Sets how large the rank of a product may be that LoHa or LoKr is expanded to, by default
         * 512.
         *
         * @param maxExpandedRank the cap, positive
         * @return this builder
         */
        public Builder optMaxExpandedRank(int maxExpandedRank) {
            this.maxExpandedRank = (int) positive("maxExpandedRank", maxExpandedRank);
            return this;
        }

        /**
         * Sets how many tensors an adapter may have.
         *
         * @param maxTensors the cap, positive
         * @return this builder
         */
        public Builder optMaxTensors(int maxTensors) {
            this.maxTensors = (int) positive("maxTensors", maxTensors);
            return this;
        }

        /**
         * Sets what files may ask for.
         *
         * @param limits the limits, by default {@link FormatLimits#DEFAULTS}
         * @return this builder
         */
        public Builder optLimits(FormatLimits limits) {
            this.limits = limits;
            return this;
        }

        /**
         * Adds a check of the user's own.
         *
         * @param rule the rule
         * @return this builder
         */
        public Builder addRule(ValidationRule rule) {
            rules.add(rule);
            return this;
        }

        /**
         * Sets the variants that can be loaded.
         *
         * @param variants the registry, by default {@link VariantRegistry#discover}
         * @return this builder
         */
        public Builder optVariants(VariantRegistry variants) {
            this.variants = variants;
            return this;
        }

        /**
         * Sets where the base model lies: its tokenizer, added tokens and chat template are
         * compared with those in the adapter's folder, and its name with {@code
         * base_model_name_or_path}.
         *
         * @param baseDirectory the folder
         * @return this builder
         */
        public Builder optBaseDirectory(Path baseDirectory) {
            this.baseDirectory = baseDirectory;
            return this;
        }

        /**
         * Sets what the base model is called.
         *
         * @param baseModel a name as on the Hugging Face hub
         * @return this builder
         */
        public Builder optBaseModel(String baseModel) {
            this.baseModel = baseModel;
            return this;
        }

        /**
         * Builds the policy.
         *
         * @return the policy
         */
        public LoadingPolicy build() {
            return new LoadingPolicy(this);
        }

        private static long positive(String name, long value) {
            if (value < 1) {
                throw new IllegalArgumentException(name + " must be positive, found " + value);
            }
            return value;
        }
    }
}
