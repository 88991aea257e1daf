/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.benchmarks;

import ai.djl.lora.cli.bench.OperatorCase;
import ai.djl.lora.cli.bench.Popularity;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * The name of a case in one word, as JMH's parameters want it: {@code 2048x5632-r16-t64-zipf} is a
 * module of 2048 inputs and 5632 outputs, rank 16, and 64 rows that choose among 64 adapters by
 * Zipf's law. {@code rmixed} stands for ranks 4, 8, 16, 32, 64, 128 and 256 in turn, and a number
 * behind the popularity for that many adapters. All rows of {@code identical} use one adapter.
 */
final class CaseName {

    static final List<Integer> MIXED_RANKS = List.of(4, 8, 16, 32, 64, 128, 256);

    private static final String POPULARITIES =
            Arrays.stream(Popularity.values())
                    .map(Popularity::label)
                    .collect(Collectors.joining("|"));
    private static final Pattern PATTERN =
            Pattern.compile(
                    "([1-9]\\d{0,5})x([1-9]\\d{0,5})-r([1-9]\\d{0,3}|mixed)-t([1-9]\\d{0,5})-("
                            + POPULARITIES
                            + ")([1-9]\\d{0,5})?");

    private CaseName() {}

    /**
     * Returns the name of a case in which rows choose among as many adapters as there are rows.
     *
     * @param shape inputs and outputs, such as {@code 2048x5632}
     * @param rank a rank, or {@code mixed}
     * @param tokens the number of rows
     * @param popularity how rows choose
     * @return the name
     */
    static String of(String shape, String rank, int tokens, Popularity popularity) {
        return shape + "-r" + rank + "-t" + tokens + '-' + popularity.label();
    }

    /**
     * Returns the case of a name.
     *
     * @param name the name
     * @return the case
     * @throws IllegalArgumentException if it is not the name of a case
     */
    static OperatorCase parse(String name) {
        Matcher matcher = PATTERN.matcher(name);
        if (!matcher.matches()) {
            throw new IllegalArgumentException(
                    "\""
                            + name
                            + "\" is not a case; expected INxOUT-rRANK-tROWS-POPULARITY[ADAPTERS]"
                            + " such as 2048x5632-r16-t64-zipf, with a rank or \"mixed\", and one"
                            + " of "
                            + POPULARITIES.replace("|", ", "));
        }
        String rank = matcher.group(3);
        int tokens = Integer.parseInt(matcher.group(4));
        Popularity popularity = Popularity.valueOf(matcher.group(5).toUpperCase(Locale.ROOT));
        int adapters = popularity == Popularity.IDENTICAL ? 1 : tokens;
        if (matcher.group(6) != null) {
            adapters = Integer.parseInt(matcher.group(6));
        }
        return new OperatorCase(
                name,
                Integer.parseInt(matcher.group(1)),
                Integer.parseInt(matcher.group(2)),
                rank.equals("mixed") ? MIXED_RANKS : List.of(Integer.valueOf(rank)),
                tokens,
                adapters,
                popularity);
    }
}
