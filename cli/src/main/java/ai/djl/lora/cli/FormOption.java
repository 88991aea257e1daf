/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.generate.sampling.OutputConstraint;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine.Option;

/** What an answer has to look like; one of the options may be given. */
final class FormOption {

    @Option(
            names = "--json-schema",
            paramLabel = "FILE",
            description =
                    "Answers are JSON that is valid against this schema; docs/sampling.md says"
                            + " which keywords are known.")
    private Path schema;

    @Option(names = "--json-object", description = "Answers are JSON objects.")
    private boolean object;

    @Option(
            names = "--regex",
            paramLabel = "PATTERN",
            description = "Answers match this regular expression from end to end.")
    private String pattern;

    @Option(
            names = "--choice",
            paramLabel = "TEXT",
            description = "Answers are one of these texts. May be given many times.")
    private List<String> choices;

    /** Returns the constraint; null where none of the options is given. */
    OutputConstraint constraint() throws IOException {
        if (schema != null) {
            try {
                return new OutputConstraint.JsonSchema(Files.readString(schema));
            } catch (CharacterCodingException e) {
                throw new LoraConfigurationException(schema + ": is not UTF-8", e);
            }
        }
        if (pattern != null) {
            return new OutputConstraint.Regex(pattern);
        }
        if (choices != null) {
            return new OutputConstraint.Choice(choices);
        }
        return object ? new OutputConstraint.JsonObject() : null;
    }
}
