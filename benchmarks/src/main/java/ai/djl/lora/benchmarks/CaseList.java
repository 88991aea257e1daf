/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.benchmarks;

import ai.djl.lora.cli.bench.Popularity;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** The names of the cases that are measured together. */
final class CaseList {

    /** Hidden sizes 896, 2048 and 4096, each by itself, to its MLP's size, and back. */
    static final List<String> SHAPES =
            List.of(
                    "896x896",
                    "896x4864",
                    "4864x896",
                    "2048x2048",
                    "2048x5632",
                    "5632x2048",
                    "4096x4096",
                    "4096x11008",
                    "11008x4096");

    static final List<String> RANKS =
            Stream.concat(CaseName.MIXED_RANKS.stream().map(String::valueOf), Stream.of("mixed"))
                    .toList();

    static final List<Integer> TOKENS = IntStream.range(0, 10).mapToObj(i -> 1 << i).toList();

    static final List<Popularity> POPULARITIES = List.of(Popularity.values());

    private static final String SHAPE = "2048x2048";
    private static final String RANK = "16";

    private CaseList() {}

    /** Returns one case each of decoding, of prefilling, and of everything mixed. */
    static List<String> quick() {
        return List.of(
                "2048x2048-r16-t32-distinct",
                "2048x2048-r16-t512-distinct4",
                "2048x5632-rmixed-t64-zipf");
    }

    /** Returns the cases in which one thing varies while the others stay. */
    static List<String> sweeps() {
        Set<String> names = new LinkedHashSet<>();
        for (String shape : SHAPES) {
            names.add(CaseName.of(shape, RANK, 32, Popularity.DISTINCT));
            names.add(CaseName.of(shape, RANK, 512, Popularity.DISTINCT) + 4);
        }
        for (String rank : RANKS) {
            names.add(CaseName.of(SHAPE, rank, 16, Popularity.DISTINCT));
        }
        for (int tokens : TOKENS) {
            names.add(CaseName.of(SHAPE, RANK, tokens, Popularity.DISTINCT));
            names.add(CaseName.of(SHAPE, RANK, tokens, Popularity.IDENTICAL));
        }
        for (Popularity popularity : POPULARITIES) {
            names.add(CaseName.of(SHAPE, RANK, 64, popularity));
            names.add(CaseName.of(SHAPE, "mixed", 64, popularity));
        }
        return List.copyOf(names);
    }

    /** Returns every case that the lists can be combined to. */
    static List<String> product(
            List<String> shapes,
            List<String> ranks,
            List<Integer> tokens,
            List<Popularity> popularities) {
        List<String> names = new ArrayList<>();
        for (String shape : shapes) {
            for (String rank : ranks) {
                for (int rows : tokens) {
                    for (Popularity popularity : popularities) {
                        names.add(CaseName.of(shape, rank, rows, popularity));
                    }
                }
            }
        }
        return names;
    }
}
