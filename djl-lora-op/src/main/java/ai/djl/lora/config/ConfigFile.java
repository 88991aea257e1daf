/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.config;

import ai.djl.lora.json.Message;
import java.io.IOException;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.Set;
import java.util.function.Consumer;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.Yaml;
import org.yaml.snakeyaml.error.Mark;
import org.yaml.snakeyaml.error.MarkedYAMLException;
import org.yaml.snakeyaml.error.YAMLException;

/** Reads YAML files by asking for the keys that they may have. Nothing in a file is run. */
public final class ConfigFile {

    private ConfigFile() {}

    /**
     * Reads a file.
     *
     * @param file the file
     * @param reader asks for the keys
     * @return what is wrong with it
     */
    public static ConfigProblems read(Path file, Consumer<ConfigSection> reader) {
        return read(file, new LinkedHashSet<>(), reader);
    }

    static ConfigProblems read(Path file, Set<String> known, Consumer<ConfigSection> reader) {
        ConfigProblems problems = new ConfigProblems(Message.oneLine(file.toString()));
        LoaderOptions limits = new LoaderOptions();
        limits.setAllowDuplicateKeys(true);
        try (Reader text = Files.newBufferedReader(file, StandardCharsets.UTF_8)) {
            reader.accept(new ConfigSection(problems, known, "", new Yaml(limits).compose(text)));
        } catch (MarkedYAMLException e) {
            problems.add(e.getProblemMark(), Message.oneLine(e.getProblem()));
        } catch (IOException | YAMLException e) {
            problems.add((Mark) null, "cannot be read: " + Message.oneLine(e.toString()));
        }
        return problems;
    }

    /**
     * Returns every key that a reader asks for.
     *
     * @param reader asks for the keys
     * @return the keys with those above them before a point
     */
    public static Set<String> keys(Consumer<ConfigSection> reader) {
        Set<String> known = new LinkedHashSet<>();
        reader.accept(new ConfigSection(new ConfigProblems(""), known, "", null));
        return Collections.unmodifiableSet(known);
    }
}
