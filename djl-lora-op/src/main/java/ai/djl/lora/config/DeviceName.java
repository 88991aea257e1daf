/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.config;

import ai.djl.Device;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The names by which users say where a model is to lie. */
public final class DeviceName {

    /** The argument that holds such a name, beside those of a model's {@code Criteria}. */
    public static final String ARGUMENT = "device";

    private static final Pattern GPU = Pattern.compile("gpu(?::(\\d{1,3}))?");

    private DeviceName() {}

    /**
     * Reads a name.
     *
     * @param name {@code cpu}, {@code gpu} for the first GPU, or {@code gpu:N} for the one of that
     *     number, counted from 0
     * @return the device
     * @throws LoraConfigurationException if it is none of these
     */
    public static Device parse(String name) {
        if (name.equals("cpu")) {
            return Device.cpu();
        }
        Matcher gpu = GPU.matcher(name);
        if (!gpu.matches()) {
            throw new LoraConfigurationException(
                    "device is "
                            + Message.quote(name)
                            + "; it must be cpu, gpu or gpu:N with the GPU's number from 0");
        }
        return Device.gpu(gpu.group(1) == null ? 0 : Integer.parseInt(gpu.group(1)));
    }

    /**
     * Checks a name.
     *
     * @param name the name
     * @return the name
     * @throws LoraConfigurationException as {@link #parse} does
     */
    public static String checked(String name) {
        parse(name);
        return name;
    }
}
