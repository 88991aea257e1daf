/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.serving;

import ai.djl.nn.Block;
import ai.djl.serving.wlm.ModelInfo;
import java.util.Locale;

/** Tells models of this project from others. */
public final class LoraModels {

    private static final String BLOCK = "ai.djl.lora.nn.AdaptedBlock";
    private static final String ENABLED = "enable_lora";

    private LoraModels() {}

    /**
     * Returns whether a model is one of this project's.
     *
     * <p>A plugin's class loader does not see the classes in the server's deps folder, so that the
     * type is told by its name.
     *
     * @param model the model
     * @return whether it is loaded, and its adapters are this project's
     */
    public static boolean isOurs(ModelInfo<?, ?> model) {
        return model.getModels().values().stream().anyMatch(loaded -> isAdapted(loaded.getBlock()));
    }

    /** Returns whether a block is one of this project's; models of Python's engine have none. */
    static boolean isAdapted(Block block) {
        return block != null && isAdapted(block.getClass());
    }

    private static boolean isAdapted(Class<?> type) {
        if (type == null) {
            return false;
        }
        if (BLOCK.equals(type.getName()) || isAdapted(type.getSuperclass())) {
            return true;
        }
        for (Class<?> each : type.getInterfaces()) {
            if (isAdapted(each)) {
                return true;
            }
        }
        return false;
    }

    /**
     * Returns whether a model's adapters may be managed.
     *
     * @param model a model of this project
     * @return false where its serving.properties says {@code enable_lora=false}, with or without
     *     {@code option.}
     */
    public static boolean isEnabled(ModelInfo<?, ?> model) {
        String option = model.getProperties().getProperty("option." + ENABLED, "true");
        String argument = model.getProperties().getProperty(ENABLED, option);
        return !"false".equals(argument.toLowerCase(Locale.ROOT));
    }
}
