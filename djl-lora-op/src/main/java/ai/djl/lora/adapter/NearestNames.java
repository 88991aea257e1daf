/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Finds the names that someone may have meant. */
public final class NearestNames {

    private static final int SHOWN = 3;

    /** What counts of a name; names of modules are shorter, foreign ones may be of any length. */
    private static final int COMPARED = 128;

    private NearestNames() {}

    /**
     * Returns the names that take the fewest insertions, deletions and replacements of a character
     * (Levenshtein's distance) to reach.
     *
     * @param name the name that is not among them
     * @param names the names to choose from
     * @return at most three names, the nearest first
     */
    public static List<String> of(String name, Collection<String> names) {
        Map<String, Integer> distances = new HashMap<>();
        names.forEach(other -> distances.put(other, distance(end(name), end(other))));
        return names.stream().sorted(Comparator.comparing(distances::get)).limit(SHOWN).toList();
    }

    private static String end(String name) {
        return name.substring(Math.max(0, name.length() - COMPARED));
    }

    private static int distance(String a, String b) {
        int[] row = new int[b.length() + 1];
        for (int j = 0; j <= b.length(); j++) {
            row[j] = j;
        }
        for (int i = 1; i <= a.length(); i++) {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.length(); j++) {
                int replaced = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.min(replaced, 1 + Math.min(row[j], row[j - 1]));
            }
        }
        return row[b.length()];
    }
}
