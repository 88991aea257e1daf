/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * A tensor's name as PEFT's {@code save_pretrained} writes it, less {@code base_model.model.}, made
 * of the ways in which trainers write it.
 *
 * <p>PEFT takes the adapter's name out of the names when it saves ({@code
 * get_peft_model_state_dict} in {@code utils/save_and_load.py}); files that were made of a model's
 * state dict keep it: {@code <module>.lora_A.default.weight}, {@code <module>.ia3_l.default},
 * {@code <module>.modules_to_save.default.weight}. DoRA's magnitude is a module in the state dict
 * ({@code lora_magnitude_vector.default.weight}) and is saved without {@code .weight}.
 *
 * @param name the name
 * @param adapter the adapter's name that stood inside, empty where none did
 * @param changes what was changed besides, for notes
 * @param tuned whether the name is one of a tuner's parameters, in which an adapter's name may
 *     stand
 */
record PeftName(String name, Optional<String> adapter, Set<Change> changes, boolean tuned) {

    private static final String BASE_MODEL = "base_model";
    private static final String MODEL = "model";
    private static final String MODULES_TO_SAVE = "modules_to_save";
    private static final String MAGNITUDE = "lora_magnitude_vector";

    /** What wrappers of a whole module add to the names of all that lies in it. */
    private static final Set<String> WRAPPERS =
            Set.of("_fsdp_wrapped_module", "_orig_mod", "_checkpoint_wrapped_module");

    private static final Set<String> LEAVES = Set.of("weight", "bias");

    /** What VB-LoRA puts behind the adapter's name in place of a leaf. */
    private static final List<String> TOP_K = List.of("_topk_indices", "_topk_weights");

    /** The parameters of PEFT 0.18's tuners ({@code adapter_layer_names} in their layers). */
    private static final Set<String> PARAMETERS =
            Set.of(
                    "lora_A",
                    "lora_B",
                    "lora_E",
                    "lora_embedding_A",
                    "lora_embedding_B",
                    MAGNITUDE,
                    "ranknum",
                    "ia3_l",
                    "vera_A",
                    "vera_B",
                    "vera_lambda_b",
                    "vera_lambda_d",
                    "hada_w1_a",
                    "hada_w1_b",
                    "hada_w2_a",
                    "hada_w2_b",
                    "hada_t1",
                    "hada_t2",
                    "lokr_w1",
                    "lokr_w1_a",
                    "lokr_w1_b",
                    "lokr_w2",
                    "lokr_w2_a",
                    "lokr_w2_b",
                    "lokr_t2",
                    "trainable_tokens_delta",
                    "vblora_logits_A",
                    "vblora_logits_B",
                    "vblora_vector_bank",
                    "boft_R",
                    "boft_s",
                    "oft_R",
                    "bone_block",
                    "miss_block",
                    "c3a_kernel",
                    "delora_A",
                    "delora_B",
                    "delora_lambda",
                    "delora_w_norm",
                    "fourierft_spectrum",
                    "waveft_spectrum",
                    "hra_u",
                    "ln_tuning_layers",
                    "poly_lora_A",
                    "poly_lora_B",
                    "poly_router",
                    "randlora_A",
                    "randlora_B",
                    "randlora_lambda",
                    "randlora_gamma",
                    "road_theta",
                    "road_alpha",
                    "shira_weight",
                    "shira_indices");

    /** Something besides the adapter's name that a file's names do not have as PEFT saves them. */
    enum Change {
        /** There was no {@code base_model.model.} in front. */
        NO_PREFIX("names lack the prefix base_model.model."),
        /** {@code base_model.model.} stood in front more than once. */
        PREFIX_AGAIN("names carry the prefix base_model.model. more than once"),
        /** Parts that training wrappers put into names. */
        WRAPPER("names carry the parts of training wrappers"),
        /** The matrices are called lora_down and lora_up. */
        DOWN_UP("matrices are called lora_down and lora_up");

        private final String note;

        Change(String note) {
            this.note = note;
        }

        /** Returns what to say of it. */
        String note() {
            return note;
        }
    }

    /** Returns what a name in a file stands for. */
    static PeftName of(String written) {
        Set<Change> changes = EnumSet.noneOf(Change.class);
        List<String> parts = new ArrayList<>(Arrays.asList(written.split("\\.", -1)));
        if (parts.removeIf(WRAPPERS::contains)) {
            changes.add(Change.WRAPPER);
        }
        removePrefixes(parts, changes);
        renameDownUp(parts, changes);
        Optional<String> adapter = Optional.empty();
        int at = lastParameter(parts);
        if (at >= 0) {
            adapter = takeAdapter(parts, at);
        } else {
            int saved = parts.lastIndexOf(MODULES_TO_SAVE);
            if (saved > 0 && parts.size() > saved + 2) {
                adapter = Optional.of(parts.remove(saved + 1));
                parts.remove(saved);
            }
        }
        return new PeftName(String.join(".", parts), adapter, changes, at >= 0);
    }

    private static void removePrefixes(List<String> parts, Set<Change> changes) {
        if (parts.size() > 3 && parts.get(0).equals("module") && startsWithPrefix(parts, 1)) {
            // PyTorch's DistributedDataParallel and DeepSpeed
            parts.remove(0);
            changes.add(Change.WRAPPER);
        }
        int count = 0;
        while (startsWithPrefix(parts, 0)) {
            parts.subList(0, 2).clear();
            count++;
        }
        // what belongs to no module has no such prefix in PEFT's own files
        boolean ofModel = parts.size() > 1 && !parts.get(0).equals(BASE_MODEL);
        if (count == 0 && ofModel) {
            changes.add(Change.NO_PREFIX);
        } else if (count > 1) {
            changes.add(Change.PREFIX_AGAIN);
        }
    }

    private static boolean startsWithPrefix(List<String> parts, int at) {
        return parts.size() > at + 2
                && parts.get(at).equals(BASE_MODEL)
                && parts.get(at + 1).equals(MODEL);
    }

    /** Renames lora_down and lora_up, and diffusers' lora.down and lora.up. */
    private static void renameDownUp(List<String> parts, Set<Change> changes) {
        int end = parts.size() - 1;
        if (end < 2 || !LEAVES.contains(parts.get(end))) {
            return;
        }
        String last = parts.get(end - 1);
        boolean two =
                end > 2
                        && (parts.get(end - 2).equals("lora")
                                || parts.get(end - 2).equals("lora_linear_layer"));
        if (last.equals("lora_down") || two && last.equals("down")) {
            parts.set(end - 1, "lora_A");
        } else if (last.equals("lora_up") || two && last.equals("up")) {
            parts.set(end - 1, "lora_B");
        } else {
            return;
        }
        if (two) {
            parts.remove(end - 2);
        }
        changes.add(Change.DOWN_UP);
    }

    private static int lastParameter(List<String> parts) {
        for (int i = parts.size() - 1; i >= 0; i--) {
            if (PARAMETERS.contains(parts.get(i))) {
                return i;
            }
        }
        return -1;
    }

    /** Takes the adapter's name out from behind a parameter's. */
    private static Optional<String> takeAdapter(List<String> parts, int at) {
        int behind = parts.size() - at - 1;
        Optional<String> adapter = Optional.empty();
        if (behind == 1 && !LEAVES.contains(parts.get(at + 1))) {
            String text = parts.remove(at + 1);
            String suffix = TOP_K.stream().filter(text::endsWith).findFirst().orElse("");
            parts.set(at, parts.get(at) + suffix);
            adapter = Optional.of(text.substring(0, text.length() - suffix.length()));
        } else if (behind == 2 && LEAVES.contains(parts.get(at + 2))) {
            adapter = Optional.of(parts.remove(at + 1));
        }
        if (parts.get(at).equals(MAGNITUDE)
                && parts.size() == at + 2
                && parts.get(at + 1).equals("weight")) {
            parts.remove(at + 1);
        }
        return adapter;
    }
}
