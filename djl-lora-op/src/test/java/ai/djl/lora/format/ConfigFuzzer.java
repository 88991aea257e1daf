/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.FuzzExpectation;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.adapter.PeftConfig;
import ai.djl.lora.adapter.VariantRegistry;
import ai.djl.lora.json.StrictJson;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;

/** Fuzzes an adapter's configuration, and what is asked of one that was read. */
public final class ConfigFuzzer {

    private static final String MODULE = "model.layers.0.self_attn.q_proj";
    private static final VariantRegistry VARIANTS = VariantRegistry.discover();

    private ConfigFuzzer() {}

    /** Runs one input. */
    public static void fuzzerTestOneInput(byte[] input) {
        FuzzExpectation.check(
                () -> {
                    PeftConfig config =
                            PeftConfig.read(
                                    PeftConfig.FILE_NAME,
                                    StrictJson.parseObject(decode(input), PeftConfig.FILE_NAME),
                                    VARIANTS);
                    config.targets().contains(MODULE);
                    FuzzExpectation.promise(
                            VARIANTS.find(config.peftType()).isPresent(),
                            "a configuration that is read is of a known variant");
                    config.issues();
                });
    }

    private static String decode(byte[] input) {
        try {
            return StrictJson.decode(ByteBuffer.wrap(input));
        } catch (CharacterCodingException e) {
            throw new LoraConfigurationException("not UTF-8", e);
        }
    }
}
