/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/**
 * A drawing as an SVG document, on white. Libraries that draw need java.desktop's fonts, which
 * servers' Java often lacks.
 */
public final class Svg {

    private final StringBuilder document = new StringBuilder();

    /**
     * A point of a drawing.
     *
     * @param x how far it is from the left
     * @param y how far it is from the top
     */
    record Place(double x, double y) {}

    /**
     * Constructs a new {@code Svg} instance.
     *
     * @param width how wide it is, in units that are pixels where it is not scaled
     * @param height how high it is
     * @param font the family of its letters
     * @param letters how high they are
     */
    public Svg(double width, double height, String font, int letters) {
        append(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\""
                        + " font-family=\"%s\" font-size=\"%d\">%n"
                        + "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>%n",
                width, height, font, letters);
    }

    /**
     * Begins a group, whose places are from its own corner.
     *
     * @param x how far that is from the left
     * @param y how far it is from the top
     */
    public void beginGroup(double x, double y) {
        append("<g transform=\"translate(%.1f %.1f)\">%n", x, y);
    }

    /**
     * Begins a group of which a text is shown when it is pointed at.
     *
     * @param text the text
     */
    public void beginGroup(String text) {
        append("<g><title>%s</title>%n", escaped(text));
    }

    /** Ends the group that was begun last. */
    public void endGroup() {
        append("</g>%n");
    }

    /**
     * Draws a filled rectangle.
     *
     * @param x how far it is from the left
     * @param y how far it is from the top
     * @param width how wide it is
     * @param height how high it is
     * @param colour its colour, as SVG names them
     */
    public void rectangle(double x, double y, double width, double height, String colour) {
        append(
                "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>%n",
                x, y, width, height, colour);
    }

    /**
     * Writes a text.
     *
     * @param x how far its anchor is from the left
     * @param y how far its base line is from the top
     * @param anchor which part of it lies there: start, middle or end
     * @param colour its colour
     * @param text the text
     */
    public void text(double x, double y, String anchor, String colour, String text) {
        append(
                "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" fill=\"%s\">%s</text>%n",
                x, y, anchor, colour, escaped(text));
    }

    void line(double x1, double y1, double x2, double y2, String colour) {
        append(
                "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>%n",
                x1, y1, x2, y2, colour);
    }

    void polyline(List<Place> places, String colour, boolean dashed) {
        String path =
                places.stream()
                        .map(place -> String.format(Locale.ROOT, "%.1f,%.1f", place.x, place.y))
                        .collect(Collectors.joining(" "));
        append(
                "<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"%s/>%n",
                path, colour, dashed ? " stroke-dasharray=\"6 4\"" : "");
    }

    /**
     * Returns the document. Groups that were begun must have ended, and nothing may follow.
     *
     * @return the document
     */
    public String end() {
        append("</svg>%n");
        return document.toString();
    }

    /** Returns text as documents of elements have it. */
    static String escaped(String text) {
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
    }

    private void append(String pattern, Object... values) {
        document.append(String.format(Locale.ROOT, pattern, values));
    }
}
