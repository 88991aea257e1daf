/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.config;

import ai.djl.lora.LoraConfigurationException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.yaml.snakeyaml.error.Mark;
import org.yaml.snakeyaml.nodes.Node;

/** Every mistake of a file, so that all can be told at once. */
public final class ConfigProblems {

    private final String file;
    private final List<Problem> problems = new ArrayList<>();

    /**
     * Constructs a new {@code ConfigProblems} instance.
     *
     * @param file the file's name, for messages
     */
    ConfigProblems(String file) {
        this.file = file;
    }

    private record Problem(int line, String text) {}

    /** Adds a mistake at a node. */
    void add(Node where, String text) {
        add(where.getStartMark(), text);
    }

    /** Adds a mistake at a place in the file; null where there is none. */
    void add(Mark where, String text) {
        problems.add(new Problem(where == null ? 0 : where.getLine() + 1, text));
    }

    /**
     * Returns the mistakes in the order of the file.
     *
     * @return one line each, with the file's name and the line's number
     */
    public List<String> lines() {
        return problems.stream()
                .sorted(Comparator.comparingInt(Problem::line))
                .map(
                        problem ->
                                problem.line == 0
                                        ? file + ": " + problem.text
                                        : file + ':' + problem.line + ": " + problem.text)
                .toList();
    }

    /**
     * Refuses a file that has mistakes.
     *
     * @throws LoraConfigurationException if there are any, with the first of them and the number of
     *     the others
     */
    public void refuse() {
        if (!problems.isEmpty()) {
            int more = problems.size() - 1;
            throw new LoraConfigurationException(
                    lines().get(0)
                            + (more == 0
                                    ? ""
                                    : "; " + more + " more, see 'djl-lora config check'"));
        }
    }
}
