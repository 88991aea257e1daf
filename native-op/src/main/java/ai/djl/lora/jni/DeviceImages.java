/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.jni;

/**
 * The methods of the native library that give a table on a GPU kernels that were compiled
 * elsewhere, one to one.
 *
 * <p>Before any is used {@link LoraLibrary#load()} must have returned. A table is named by what
 * {@code device_table_create} returned, and used by one thread at a time.
 */
public final class DeviceImages {

    private DeviceImages() {}

    /**
     * Returns why a table cannot use the kernels that the library carries: none suits its device or
     * loads there. Calls fail then until an image is given.
     *
     * @param table the table
     * @return the reason; null if it can
     */
    public static native String obstacle(long table);

    /**
     * Gives a table kernels for the calls over modules of as many inputs, in the place of the
     * library's. Where the library carries none for the device, calls over other modules use them
     * too. The driver may compile PTX for seconds.
     *
     * @param table the table
     * @param image machine code, or PTX with a zero behind it, of the table's type
     * @param inFeatures the number of inputs of one of the table's modules
     * @throws IllegalArgumentException if an argument is not allowed
     * @throws ai.djl.engine.EngineException if the image does not load or lacks a kernel, with the
     *     driver's words; the table is as it was
     */
    public static native void use(long table, byte[] image, long inFeatures);

    /**
     * Goes back to the kernels that the library carries, if there was an image for as many inputs.
     *
     * @param table the table
     * @param inFeatures the number of inputs of one of the table's modules
     * @throws IllegalArgumentException if an argument is not allowed
     */
    public static native void drop(long table, long inFeatures);

    /**
     * Measures a call with one row of an adapter of its own for each segment, on memory of its own,
     * more than the second-level cache holds. Waits for the device, some milliseconds.
     *
     * @param table the table
     * @param modules the modules of the call, 1 to 4, that take as many inputs
     * @param segments the number of rows
     * @param rank the adapters' rank
     * @return the medians of the device's times in microseconds: with the library's kernels and
     *     with those of the image
     * @throws IllegalArgumentException if an argument is not allowed, or one of the two is missing
     * @throws ai.djl.engine.EngineException if the device has too little memory left, or fails
     */
    public static native double[] times(long table, int[] modules, int segments, int rank);
}
