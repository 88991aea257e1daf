/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.benchmarks.profile;

import ai.djl.lora.cli.bench.Svg;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * Draws the samples of an engine's thread as a flame graph (Gregg, "The Flame Graph", CACM 2016),
 * and tells what share of them was taken in Java.
 */
public final class FlameGraph {

    private static final String THREAD = "djl-lora-engine";
    private static final double WIDTH = 1200;
    private static final int ROW = 17;
    private static final int TOP = 40;

    /** Frames narrower than this are left out. */
    private static final double NARROWEST = 0.6;

    private static final int LETTERS = 10;
    private static final double LETTER = 6.2;

    private final StackTree root;
    private final Svg svg;
    private final int height;

    private FlameGraph(StackTree root) {
        this.root = root;
        this.height = TOP + (root.depth() + 1) * ROW;
        this.svg = new Svg(WIDTH, height, "monospace", LETTERS);
    }

    /**
     * Reads and draws.
     *
     * @param args a file of collapsed stacks with the threads' names first, as async-profiler
     *     writes it, and the SVG file to write
     * @throws IOException if a file cannot be read or written
     */
    public static void main(String[] args) throws IOException {
        StackTree root = read(Files.readAllLines(Path.of(args[0])));
        if (root.samples() == 0) {
            throw new IOException(args[0] + " has no samples of a thread " + THREAD);
        }
        Files.writeString(Path.of(args[1]), draw(root));
        System.out.printf(
                Locale.ROOT,
                "%d samples of the engine's thread, %.1f %% of them in Java%n",
                root.samples(),
                100.0 * root.javaSamples() / root.samples());
    }

    /** Joins the stacks of the engines' threads. */
    static StackTree read(List<String> lines) {
        StackTree root = new StackTree(THREAD);
        for (String line : lines) {
            int space = line.lastIndexOf(' ');
            List<String> frames = Arrays.asList(line.substring(0, space).split(";"));
            if (frames.get(0).startsWith('[' + THREAD)) {
                root.add(
                        frames.subList(1, frames.size()),
                        Long.parseLong(line.substring(space + 1)));
            }
        }
        return root;
    }

    /** Returns the drawing as an SVG document. */
    static String draw(StackTree root) {
        return new FlameGraph(root).document();
    }

    private String document() {
        svg.text(
                6,
                20,
                "start",
                "black",
                String.format(
                        Locale.ROOT,
                        "The engine's thread: %d samples, %.1f %% in Java (green)",
                        root.samples(),
                        100.0 * root.javaSamples() / root.samples()));
        frame(root, 0, 0);
        return svg.end();
    }

    private void frame(StackTree node, double from, int depth) {
        double width = WIDTH * node.samples() / root.samples();
        if (width < NARROWEST) {
            return;
        }
        int y = height - (depth + 1) * ROW;
        double share = 100.0 * node.samples() / root.samples();
        svg.beginGroup(String.format(Locale.ROOT, "%s, %.2f %%", node.name(), share));
        svg.rectangle(from, y, width, ROW - 1, node.isJava() ? "#9bd39b" : "#f2b48a");
        int letters = (int) ((width - 4) / LETTER);
        if (letters > 2) {
            String text = node.name();
            text = text.length() <= letters ? text : text.substring(0, letters - 1) + '…';
            svg.text(from + 2, y + ROW - 5, "start", "black", text);
        }
        svg.endGroup();
        double at = from;
        for (StackTree callee : node.callees()) {
            frame(callee, at, depth + 1);
            at += WIDTH * callee.samples() / root.samples();
        }
    }
}
