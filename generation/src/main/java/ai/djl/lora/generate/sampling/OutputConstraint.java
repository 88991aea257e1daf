/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

import java.util.List;
import java.util.Objects;

/**
 * Says what the whole text of an answer must look like. A description is only text: whether it can
 * be obeyed shows when {@link ConstraintCompiler} compiles it for a vocabulary.
 */
public sealed interface OutputConstraint {

    /**
     * The text is a JSON value that a schema accepts; {@link ConstraintCompiler} says which
     * keywords are known.
     *
     * @param schema the schema, a JSON object
     */
    record JsonSchema(String schema) implements OutputConstraint {

        /**
         * Constructs a new {@code JsonSchema} instance.
         *
         * @param schema the schema, a JSON object
         */
        public JsonSchema {
            Objects.requireNonNull(schema, "schema");
        }
    }

    /** The text is any JSON object, as {@code response_format: json_object} asks for. */
    record JsonObject() implements OutputConstraint {}

    /**
     * A regular expression matches the whole text.
     *
     * @param pattern the expression; {@link ConstraintCompiler} says which syntax is known
     */
    record Regex(String pattern) implements OutputConstraint {

        /**
         * Constructs a new {@code Regex} instance.
         *
         * @param pattern the expression
         */
        public Regex {
            Objects.requireNonNull(pattern, "pattern");
        }
    }

    /**
     * The text is one of a list.
     *
     * @param texts the texts to choose from, at least one, none empty
     */
    record Choice(List<String> texts) implements OutputConstraint {

        /**
         * Constructs a new {@code Choice} instance.
         *
         * @param texts the texts to choose from, at least one, none empty
         */
        public Choice {
            texts = List.copyOf(texts);
        }
    }
}
