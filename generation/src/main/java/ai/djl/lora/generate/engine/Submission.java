/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.lora.generate.GenerationRequest;
import ai.djl.lora.generate.sampling.TokenConstraint;
import java.time.Duration;
import java.util.Objects;
import java.util.function.IntFunction;
import java.util.function.IntPredicate;
import java.util.function.Supplier;

/** A request as an engine takes it: what to generate, for whom, and how urgent it is. Immutable. */
public final class Submission {

    private static final IntPredicate NEVER = token -> false;

    private final GenerationRequest request;
    private final String tenant;
    private final int priority;
    private final Duration deadline;
    private final IntFunction<IntPredicate> stop;
    private final Supplier<TokenConstraint> constraint;
    private final PromptReader<?> reader;

    private Submission(Builder builder) {
        this.request = builder.request;
        this.tenant = builder.tenant;
        this.priority = builder.priority;
        this.deadline = builder.deadline;
        this.stop = builder.stop;
        this.constraint = builder.constraint;
        this.reader = builder.reader;
        if (reader != null && (stop != null || constraint != null)) {
            throw new IllegalArgumentException(
                    "a stop or a constraint is given for a text that is only read");
        }
    }

    /**
     * Returns a submission of a request with nothing said beside it.
     *
     * @param request the request
     * @return the submission
     */
    public static Submission of(GenerationRequest request) {
        return builder(request).build();
    }

    /**
     * Returns a builder of submissions.
     *
     * @param request the request
     * @return a new builder
     */
    public static Builder builder(GenerationRequest request) {
        return new Builder(request);
    }

    /**
     * Returns what to generate.
     *
     * @return the request
     */
    public GenerationRequest request() {
        return request;
    }

    /**
     * Returns for whom it is; requests of one tenant share the tenant's part of the engine.
     *
     * @return the tenant, empty where none was named
     */
    public String tenant() {
        return tenant;
    }

    /**
     * Returns how urgent it is.
     *
     * @return the priority; the greater come first, 0 by default
     */
    public int priority() {
        return priority;
    }

    /**
     * Returns for how long the request may wait for its first step.
     *
     * @return the time, null for any
     */
    public Duration deadline() {
        return deadline;
    }

    IntPredicate newStop(int answer) {
        return stop == null ? NEVER : stop.apply(answer);
    }

    boolean hasConstraint() {
        return constraint != null;
    }

    /** Returns what follows one answer's text; null where nothing is said of it. */
    TokenConstraint newConstraint() {
        return constraint == null ? null : constraint.get();
    }

    /** Returns what takes the answer where the text is read and not continued, or null. */
    PromptReader<?> reader() {
        return reader;
    }

    /** A builder of {@link Submission}s. */
    public static final class Builder {

        private final GenerationRequest request;
        private String tenant = "";
        private int priority;
        private Duration deadline;
        private IntFunction<IntPredicate> stop;
        private Supplier<TokenConstraint> constraint;
        private PromptReader<?> reader;

        private Builder(GenerationRequest request) {
            this.request = Objects.requireNonNull(request, "request");
        }

        /**
         * Returns what to generate.
         *
         * @return the request
         */
        public GenerationRequest request() {
            return request;
        }

        /**
         * Sets for whom the request is.
         *
         * @param value the tenant
         * @return this builder
         */
        public Builder optTenant(String value) {
            tenant = Objects.requireNonNull(value, "tenant");
            return this;
        }

        /**
         * Sets how urgent the request is.
         *
         * @param value the priority; the greater come first
         * @return this builder
         */
        public Builder optPriority(int value) {
            priority = value;
            return this;
        }

        /**
         * Sets for how long the request may wait for its first step; it fails after that.
         *
         * @param value the time, above 0
         * @return this builder
         */
        public Builder optDeadline(Duration value) {
            if (value.isNegative() || value.isZero()) {
                throw new IllegalArgumentException("deadline is " + value + "; it must be above 0");
            }
            deadline = value;
            return this;
        }

        /**
         * Sets what ends the text, beside the request's own conditions, such as a word in it.
         *
         * @param value makes what is given each new token of an answer, on the engine's thread, and
         *     says whether the text ends with it; it is not given end-of-text and stop tokens
         * @return this builder
         */
        public Builder optStop(Supplier<IntPredicate> value) {
            return optStops(answer -> value.get());
        }

        /**
         * Sets what ends the text, as {@link #optStop} does, for each of several answers.
         *
         * @param value makes of an answer's index, from 0, what is given its tokens
         * @return this builder
         */
        public Builder optStops(IntFunction<IntPredicate> value) {
            stop = value;
            return this;
        }

        /** Sets what takes the answer of a text that is read and not continued. */
        Builder optReader(PromptReader<?> value) {
            reader = value;
            return this;
        }

        /**
         * Sets what follows the text and says which tokens may come next. A request whose
         * parameters have a constraint needs it: an engine knows tokens and not what they write.
         *
         * @param value begins to follow an answer's text, such as {@link
         *     ai.djl.lora.generate.sampling.CompiledConstraint#begin}
         * @return this builder
         */
        public Builder optConstraint(Supplier<TokenConstraint> value) {
            constraint = value;
            return this;
        }

        /**
         * Builds the submission.
         *
         * @return the submission
         */
        public Submission build() {
            return new Submission(this);
        }
    }
}
