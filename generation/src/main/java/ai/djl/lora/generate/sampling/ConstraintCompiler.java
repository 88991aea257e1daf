/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

import ai.djl.lora.LoraConfigurationException;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.lucene.util.automaton.Automaton;

/**
 * Compiles descriptions of structured output for a vocabulary. A description becomes a regular
 * language, that a deterministic automaton over the bytes of UTF-8 (Apache Lucene's), and a walk of
 * the automaton over the vocabulary's trie the mask of the tokens that may come next (the approach
 * of arXiv 2307.09702).
 *
 * <p>Regular expressions have literal characters, {@code .}, classes with ranges and the escapes
 * {@code \d \D \w \W \s \S \t \n \r \f \xHH} and the latter's form with {@code u} and four digits,
 * groups {@code ( )} and {@code (?: )}, alternatives, and the quantifiers {@code * + ? {n} {n,}
 * {n,m}}, lazy ones too. They match the whole text; {@code ^} and {@code $} may stand at the start
 * and end of the expression or of an alternative of it. Look-around, back references, boundaries,
 * flags, possessive quantifiers and Unicode properties are refused.
 *
 * <p>JSON schemas have {@code type} (one or a list), {@code enum}, {@code const}, {@code
 * properties}, {@code required}, {@code additionalProperties} (false or absent beside properties; a
 * schema without), {@code items}, {@code minItems}, {@code maxItems}, {@code minimum}, {@code
 * maximum}, {@code exclusiveMinimum} and {@code exclusiveMaximum} of integers, {@code pattern} (as
 * above, but matching anywhere), {@code minLength}, {@code maxLength}, {@code anyOf}, {@code oneOf}
 * of schemas that rule each other out, {@code $ref} to {@code $defs} or {@code definitions} without
 * recursion, and annotations. Every other keyword is refused.
 *
 * <p>Safe for use by several threads: what is compiled is kept for later requests, the descriptions
 * that were not used the longest are forgotten first.
 */
public final class ConstraintCompiler {

    /** How deep any JSON object may nest, itself counted. */
    public static final int JSON_OBJECT_DEPTH = 8;

    private static final int KEPT_DESCRIPTIONS = 64;

    /** Of all descriptions that are kept; a state takes some 200 bytes. */
    private static final int KEPT_STATES = 500_000;

    private final Vocabulary vocabulary;
    private final TokenTrie trie;
    private final MaskCache masks = new MaskCache();
    private final Map<OutputConstraint, CompiledConstraint> compiled =
            new LinkedHashMap<>(16, 0.75f, true);

    private int states;

    /**
     * Constructs a new {@code ConstraintCompiler} instance. This reads the whole vocabulary.
     *
     * @param vocabulary the vocabulary of the model's tokenizer
     */
    public ConstraintCompiler(Vocabulary vocabulary) {
        this.vocabulary = vocabulary;
        this.trie = new TokenTrie(vocabulary);
    }

    /**
     * Compiles a description, if that was not done before. Compiling may take a second: it belongs
     * on the thread of whoever asks, not on an engine's.
     *
     * @param constraint what the text must look like
     * @return the constraint, for any number of texts
     * @throws LoraConfigurationException naming what is wrong with the description, or not
     *     supported; also if it accepts no text, or needs too large an automaton
     */
    public CompiledConstraint compile(OutputConstraint constraint) {
        CompiledConstraint known;
        synchronized (compiled) {
            known = compiled.get(constraint);
        }
        if (known == null) {
            known =
                    new CompiledConstraint(
                            TextAutomata.toUtf8(automaton(constraint)), trie, vocabulary, masks);
            keep(constraint, known);
        }
        return known;
    }

    private void keep(OutputConstraint constraint, CompiledConstraint known) {
        synchronized (compiled) {
            CompiledConstraint other = compiled.put(constraint, known);
            states += known.states() - (other == null ? 0 : other.states());
            Iterator<CompiledConstraint> oldest = compiled.values().iterator();
            while (compiled.size() > KEPT_DESCRIPTIONS || states > KEPT_STATES) {
                states -= oldest.next().states();
                oldest.remove();
            }
        }
    }

    private static Automaton automaton(OutputConstraint constraint) {
        if (constraint instanceof OutputConstraint.JsonSchema json) {
            return JsonSchemaCompiler.compile(json.schema());
        }
        if (constraint instanceof OutputConstraint.Regex regex) {
            return RegexParser.whole(regex.pattern());
        }
        if (constraint instanceof OutputConstraint.Choice choice) {
            List<String> texts = choice.texts();
            if (texts.isEmpty() || texts.contains("")) {
                throw new LoraConfigurationException(
                        "the choice has "
                                + (texts.isEmpty() ? "no texts" : "an empty text")
                                + "; it must have texts that are not empty");
            }
            return TextAutomata.either(texts.stream().map(TextAutomata::text).toList());
        }
        return JsonAutomata.anyObject(JSON_OBJECT_DEPTH);
    }
}
