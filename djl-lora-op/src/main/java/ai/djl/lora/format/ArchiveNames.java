/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.json.Message;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * The names of an archive's entries: those that lead out of the folder that the archive is
 * extracted to, on whatever system, are refused, and so are two entries of one name.
 */
final class ArchiveNames {

    private static final int MAX_LENGTH = 1024;
    private static final int MAX_DEPTH = 16;
    private static final Pattern DRIVE = Pattern.compile("[A-Za-z]:.*", Pattern.DOTALL);

    private final DataChannel archive;
    private final FormatLimits limits;
    private final Set<String> files = new HashSet<>();
    private final Set<String> folders = new HashSet<>();
    private int entries;

    /**
     * Constructs a new {@code ArchiveNames} instance.
     *
     * @param archive the archive, for messages
     * @param limits how many entries it may have
     */
    ArchiveNames(DataChannel archive, FormatLimits limits) {
        this.archive = archive;
        this.limits = limits;
    }

    /** Adds a folder; the archive's own folder may come as often as it likes. */
    void addFolder(String name) {
        List<String> parts = parts(name);
        for (int i = 1; i <= parts.size(); i++) {
            addFolderOf(name, String.join("/", parts.subList(0, i)));
        }
    }

    /** Adds a file and returns its name, relative and without parts that mean nothing. */
    String addFile(String name) {
        List<String> parts = parts(name);
        if (parts.isEmpty() || name.endsWith("/")) {
            throw fail(name, "is a file with the name of a folder");
        }
        for (int i = 1; i < parts.size(); i++) {
            addFolderOf(name, String.join("/", parts.subList(0, i)));
        }
        String path = String.join("/", parts);
        if (folders.contains(path) || !files.add(path)) {
            throw fail(name, "is in the archive more than once");
        }
        return path;
    }

    private void addFolderOf(String name, String folder) {
        if (files.contains(folder)) {
            throw fail(name, "lies in what is a file of the archive");
        }
        folders.add(folder);
    }

    private List<String> parts(String name) {
        if (++entries > limits.maxEntries()) {
            throw archive.fail(
                    "the archive has more than the allowed " + limits.maxEntries() + " entries");
        }
        if (name.length() > MAX_LENGTH) {
            throw fail(name, "has a name of more than " + MAX_LENGTH + " characters");
        }
        if (name.startsWith("/") || DRIVE.matcher(name).matches()) {
            throw fail(name, "has an absolute name");
        }
        if (name.indexOf('\\') >= 0 || name.chars().anyMatch(Character::isISOControl)) {
            throw fail(name, "has a backslash or a control character in its name");
        }
        List<String> parts = new ArrayList<>();
        String[] written = name.split("/");
        for (int i = 0; i < written.length; i++) {
            if (written[i].equals("..")) {
                throw fail(name, "has a name that leads out of the archive");
            }
            // tar writes ./ in front of the names when it packs the folder that it is in
            if (written[i].isEmpty() || written[i].equals(".") && i > 0) {
                throw fail(name, "has an empty part in its name");
            }
            if (!written[i].equals(".")) {
                parts.add(written[i]);
            }
        }
        if (parts.size() > MAX_DEPTH) {
            throw fail(name, "lies deeper than " + MAX_DEPTH + " folders");
        }
        return parts;
    }

    private RuntimeException fail(String name, String what) {
        return archive.fail("entry " + Message.quote(name) + ' ' + what);
    }
}
