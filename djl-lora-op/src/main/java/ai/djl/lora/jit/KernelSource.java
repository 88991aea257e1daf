/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.jit;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A file of CUDA kernels with every header that it includes.
 *
 * @param name the file's name, such as {@code sgmv_bf16.cu}
 * @param text its text
 * @param headers the headers' texts by their names
 */
public record KernelSource(String name, String text, SortedMap<String, String> headers) {

    private static final String FOLDER = "/native/cuda/";
    private static final Pattern INCLUDE =
            Pattern.compile("^\\s*#\\s*include\\s+\"([\\w.]+)\"", Pattern.MULTILINE);

    /**
     * Constructs a new {@code KernelSource} instance.
     *
     * @param name the file's name
     * @param text its text
     * @param headers the headers' texts by their names
     */
    public KernelSource {
        headers = Collections.unmodifiableSortedMap(new TreeMap<>(headers));
    }

    /**
     * Reads a source that the jar of native-op carries: the same that the native library's kernels
     * are compiled from.
     *
     * @param name the file's name, such as {@code sgmv_bf16.cu}
     * @return the source with its headers
     * @throws IllegalArgumentException if there is no such source
     */
    public static KernelSource read(String name) {
        String text = resource(name);
        SortedMap<String, String> headers = new TreeMap<>();
        addHeaders(text, headers);
        return new KernelSource(name, text, headers);
    }

    private static void addHeaders(String text, SortedMap<String, String> headers) {
        Matcher include = INCLUDE.matcher(text);
        while (include.find()) {
            String header = include.group(1);
            if (!headers.containsKey(header)) {
                String found = resource(header);
                headers.put(header, found);
                addHeaders(found, headers);
            }
        }
    }

    private static String resource(String name) {
        try (InputStream in = KernelSource.class.getResourceAsStream(FOLDER + name)) {
            if (in == null) {
                throw new IllegalArgumentException("There are no CUDA kernels called " + name);
            }
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException("Cannot read the CUDA kernels " + name, e);
        }
    }
}
