/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import java.util.List;

/**
 * A method by which adapters are trained, and how what it saves becomes {@link AdapterChanges}.
 *
 * <p>Implementations are found by {@link java.util.ServiceLoader}, or registered with {@link
 * VariantRegistry#with}. They have no state: what one adapter's configuration says is kept by the
 * reader that {@link #read} returns.
 */
public interface AdapterVariant {

    /**
     * Returns which adapters this is for.
     *
     * @return values of the configuration's {@code peft_type}, such as {@code LORA}
     */
    List<String> peftTypes();

    /**
     * Reads what the configuration says. Each field that is asked for, or {@linkplain
     * ConfigFields#leave left}, counts as known; of the others one that begins with {@code use_} is
     * refused and the rest make warnings.
     *
     * @param fields the configuration's fields
     * @return what reads this adapter's tensors
     * @throws ai.djl.lora.LoraConfigurationException if a field is not what it must be
     * @throws ai.djl.lora.LoraVariantException if a field asks for what is not supported
     */
    VariantReader read(ConfigFields fields);
}
