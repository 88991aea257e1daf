/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.benchmarks.profile;

import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;

/**
 * Sampled stacks, those that begin alike joined: each node is a frame, with the samples that were
 * taken in it or in what it called.
 */
final class StackTree {

    /** The classes whose methods are native, DJL's and ours. */
    private static final Pattern NATIVE =
            Pattern.compile("ai/djl/(lora/jni/LoraNative|pytorch/jni/PyTorchLibrary)\\..*");

    private static final Pattern GENERATED =
            Pattern.compile("(\\$\\$Lambda)(\\$\\d+)?[./]0x[0-9a-f]+");
    private static final Pattern ADDRESS = Pattern.compile("0x[0-9a-f]+");

    private final String name;
    private final boolean java;
    private final boolean callsNative;
    private final Map<String, StackTree> callees = new TreeMap<>();
    private long samples;

    /** Makes the root of an empty tree. */
    StackTree(String name) {
        this(name, true, false);
    }

    private StackTree(String name, boolean java, boolean callsNative) {
        this.name = name;
        this.java = java;
        this.callsNative = callsNative;
    }

    /**
     * Adds samples of one stack.
     *
     * @param frames the frames, callers first, as async-profiler names them
     * @param count how many samples
     */
    void add(List<String> frames, long count) {
        StackTree node = this;
        node.samples += count;
        for (String frame : frames) {
            String label = label(frame);
            // a library without symbols is one frame for each of its functions
            if (!label.equals(node.name)) {
                boolean inJava = node.java && !node.callsNative;
                boolean callsNative = inJava && NATIVE.matcher(frame).matches();
                node =
                        node.callees.computeIfAbsent(
                                label, key -> new StackTree(key, inJava, callsNative));
                node.samples += count;
            }
        }
    }

    /* Packages, folders and what differs from run to run are left out. */
    private static String label(String frame) {
        String stable = GENERATED.matcher(frame).replaceAll("$1");
        stable = ADDRESS.matcher(stable).replaceAll("");
        int arguments = stable.indexOf('(');
        String path = arguments < 0 ? stable : stable.substring(0, arguments);
        return path.substring(path.lastIndexOf('/') + 1);
    }

    String name() {
        return name;
    }

    /**
     * Returns whether the frame is Java's or the virtual machine's own, and not of native code that
     * Java called.
     */
    boolean isJava() {
        return java;
    }

    long samples() {
        return samples;
    }

    Collection<StackTree> callees() {
        return callees.values();
    }

    /** Returns the samples that were taken in Java itself, not in native code that it called. */
    long javaSamples() {
        if (!java) {
            return 0;
        }
        long own = samples;
        for (StackTree callee : callees.values()) {
            own -= callee.samples - callee.javaSamples();
        }
        return own;
    }

    int depth() {
        return 1 + callees.values().stream().mapToInt(StackTree::depth).max().orElse(0);
    }
}
