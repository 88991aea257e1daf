/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import ai.djl.lora.safetensors.TensorInfo;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;

/**
 * The tensors of a source by the names that PEFT gives them, less {@code base_model.model.}.
 *
 * <p>Refused are two tensors of one name, tensors of more than one adapter, and names that cannot
 * be read without the model: kohya's {@code lora_unet_down_blocks_0_...} has underscores where the
 * module's name has dots, and module names have underscores of their own.
 */
final class NormalisedTensors {

    /** The last part of the name of a scalar with a module's alpha, in files of kohya's kind. */
    private static final String ALPHA = ".alpha";

    /** What the first matrix of a linear layer and of an embedding is called. */
    private static final List<String> FIRST = List.of(".lora_A.weight", ".lora_embedding_A");

    /** How kohya's names of modules begin: {@code lora_unet_}, {@code lora_te1_}. */
    private static final String KOHYA = "lora_";

    private final String file;
    private final Map<String, TensorInfo> tensors = new LinkedHashMap<>();
    private final Map<String, TensorInfo> originals = new LinkedHashMap<>();
    private final Map<String, TensorInfo> alphas = new LinkedHashMap<>();
    private final List<String> notes = new ArrayList<>();

    /**
     * Constructs a new {@code NormalisedTensors} instance.
     *
     * @param source what holds the tensors
     * @param names what PEFT or a trainer calls a tensor, by its name in the source
     */
    NormalisedTensors(TensorSource source, UnaryOperator<String> names) {
        file = Message.oneLine(source.path().toString());
        Set<PeftName.Change> changes = EnumSet.noneOf(PeftName.Change.class);
        Adapters adapters = new Adapters();
        for (TensorInfo tensor : source.tensors().values()) {
            PeftName name = PeftName.of(names.apply(tensor.name()));
            refuseUnderscores(tensor.name(), name);
            adapters.add(tensor, name);
            changes.addAll(name.changes());
            add(name.name(), tensor);
        }
        changes.forEach(change -> notes.add(change.note()));
        adapters.note();
        separateAlphas();
    }

    /**
     * Returns the tensors by their normalised names, which are also theirs, in the file's order.
     */
    Map<String, TensorInfo> tensors() {
        return Collections.unmodifiableMap(tensors);
    }

    /** Returns the tensors as the source describes them, by their normalised names. */
    Map<String, TensorInfo> originals() {
        return Collections.unmodifiableMap(originals);
    }

    /** Returns the scalars that hold alphas, as the source describes them, by module. */
    Map<String, TensorInfo> alphas() {
        return Collections.unmodifiableMap(alphas);
    }

    /** Returns what was changed, one line each. */
    List<String> notes() {
        return List.copyOf(notes);
    }

    /** Returns the first matrices of LoRA by module. */
    Map<String, TensorInfo> firstMatrices() {
        Map<String, TensorInfo> found = new LinkedHashMap<>();
        tensors.forEach(
                (name, tensor) -> {
                    for (String end : FIRST) {
                        if (name.endsWith(end)) {
                            found.put(name.substring(0, name.length() - end.length()), tensor);
                        }
                    }
                });
        return found;
    }

    private void add(String name, TensorInfo tensor) {
        TensorInfo other = originals.putIfAbsent(name, tensor);
        if (other != null) {
            throw new LoraConfigurationException(
                    file
                            + ": the tensors "
                            + Message.quote(other.name())
                            + " and "
                            + Message.quote(tensor.name())
                            + " are the same parameter "
                            + Message.quote(name));
        }
        tensors.put(
                name,
                new TensorInfo(
                        name, tensor.type(), tensor.shape(), tensor.offset(), tensor.size()));
    }

    private void refuseUnderscores(String written, PeftName name) {
        boolean renamed = name.changes().contains(PeftName.Change.DOWN_UP);
        String module = renamed ? moduleOf(name.name()) : "";
        if (module.startsWith(KOHYA) && module.indexOf('.') < 0) {
            throw new LoraConfigurationException(
                    file
                            + ": tensor "
                            + Message.quote(written)
                            + " names its module with underscores in place of dots, which cannot"
                            + " be told from the underscores of the module's own name; expected"
                            + " names such as model.layers.0.self_attn.q_proj.lora_down.weight");
        }
    }

    private static String moduleOf(String name) {
        int leaf = name.lastIndexOf('.');
        return name.substring(0, name.lastIndexOf('.', leaf - 1));
    }

    /** Takes the alphas of LoRA's modules out of the tensors. */
    private void separateAlphas() {
        for (String module : firstMatrices().keySet()) {
            TensorInfo alpha = originals.remove(module + ALPHA);
            if (alpha != null) {
                tensors.remove(module + ALPHA);
                alphas.put(module, alpha);
            }
        }
        if (!alphas.isEmpty()) {
            notes.add("alphas are tensors of the file");
        }
    }

    /** Sees to it that the names of tensors hold one adapter's name, or none of them holds one. */
    private final class Adapters {

        private TensorInfo first;
        private String name;
        private TensorInfo withoutName;

        void add(TensorInfo tensor, PeftName peft) {
            if (peft.adapter().isEmpty()) {
                if (peft.tuned() && withoutName == null) {
                    withoutName = tensor;
                }
            } else if (first == null) {
                first = tensor;
                name = peft.adapter().get();
            } else if (!name.equals(peft.adapter().get())) {
                throw new LoraConfigurationException(
                        file
                                + ": tensor "
                                + Message.quote(first.name())
                                + " belongs to the adapter "
                                + Message.quote(name)
                                + " and tensor "
                                + Message.quote(tensor.name())
                                + " to "
                                + Message.quote(peft.adapter().get())
                                + ", expected one adapter");
            }
            if (first != null && withoutName != null) {
                throw new LoraConfigurationException(
                        file
                                + ": tensor "
                                + Message.quote(first.name())
                                + " belongs to the adapter "
                                + Message.quote(name)
                                + " and tensor "
                                + Message.quote(withoutName.name())
                                + " to none by name, expected one adapter");
            }
        }

        void note() {
            if (first != null) {
                notes.add("names carry the adapter name " + Message.quote(name));
            }
        }
    }
}
