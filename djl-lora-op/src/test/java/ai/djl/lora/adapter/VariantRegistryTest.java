/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import static ai.djl.lora.adapter.AdapterDirectory.LAYOUT;
import static ai.djl.lora.adapter.AdapterDirectory.PREFIX;
import static ai.djl.lora.adapter.AdapterDirectory.Q;
import static org.testng.Assert.assertEquals;
import static org.testng.Assert.assertSame;
import static org.testng.Assert.expectThrows;

import ai.djl.lora.LoraVariantException;
import ai.djl.lora.op.LoraModule;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.testng.annotations.Test;

public class VariantRegistryTest {

    /** A method of a user's own: it adds a trained vector to a layer's bias, times a factor. */
    private static final class ShiftVariant implements AdapterVariant {

        @Override
        public List<String> peftTypes() {
            return List.of("SHIFT");
        }

        @Override
        public VariantReader read(ConfigFields fields) {
            float factor = (float) fields.number("factor", fields.required("factor", "a number"));
            return placement -> {
                placement.addSetting("factor", String.valueOf(factor));
                placement
                        .byModule(Set.of("shift"))
                        .keySet()
                        .forEach(module -> place(placement, module, factor));
            };
        }

        private static void place(Placement placement, String module, float factor) {
            Optional<LoraModule> linear = placement.linear(module);
            linear.ifPresent(
                    layer ->
                            placement
                                    .part(module, "Shift", 0, 1)
                                    .require(
                                            module + ".shift",
                                            "by the layer's outputs",
                                            layer.outFeatures())
                                    .apply(
                                            (tensors, changes) ->
                                                    changes.linear(module)
                                                            .addVariant("Shift")
                                                            .optShift(
                                                                    tensors.read(
                                                                            module + ".shift"))));
        }
    }

    @Test
    public void findsTheBuiltInVariants() {
        assertEquals(
                VariantRegistry.discover().peftTypes(),
                Set.of(
                        "ADALORA",
                        "IA3",
                        "LOHA",
                        "LOKR",
                        "LORA",
                        "PREFIX_TUNING",
                        "PROMPT_TUNING",
                        "P_TUNING",
                        "TRAINABLE_TOKENS",
                        "VERA"));
    }

    @Test
    public void loadsAUsersOwnVariant() throws IOException {
        VariantRegistry registry = VariantRegistry.discover().with(new ShiftVariant());
        LoadingPolicy policy = LoadingPolicy.builder().optVariants(registry).build();
        try (AdapterDirectory directory = new AdapterDirectory()) {
            directory.begin("{\"peft_type\": \"SHIFT\", \"factor\": 2}");
            directory.put(PREFIX + Q + ".shift", 4);
            LoraAdapter adapter = directory.load(LAYOUT, policy);
            assertEquals(
                    adapter.changes().linears().get(Q).shift().data(),
                    directory.tensors.get(PREFIX + Q + ".shift").data());
            assertEquals(adapter.report().modules().get(0).variant(), "Shift");
            String revision = adapter.revision();
            directory.with("factor", "3");
            assertEquals(revision.equals(directory.load(LAYOUT, policy).revision()), false);
            // it is held to the same checks
            directory.put(PREFIX + "lm_head.shift", 6);
            assertEquals(
                    AdapterLoader.validate(directory.path(), LAYOUT, policy).compatibility(),
                    Compatibility.FULL);
            assertEquals(directory.validate(policy).compatibility(), Compatibility.NONE);
            expectThrows(LoraVariantException.class, directory::load);
        }
    }

    @Test
    public void prefersWhatIsRegistered() {
        AdapterVariant own =
                new AdapterVariant() {
                    @Override
                    public List<String> peftTypes() {
                        return List.of("LORA");
                    }

                    @Override
                    public VariantReader read(ConfigFields fields) {
                        throw new UnsupportedOperationException("not called");
                    }
                };
        VariantRegistry registry = VariantRegistry.discover();
        assertSame(registry.with(own).find("LORA").orElseThrow(), own);
        assertEquals(registry.find("LORA").orElseThrow().getClass().getSimpleName(), "LoraVariant");
        assertEquals(registry.find("lora"), Optional.empty());
    }
}
