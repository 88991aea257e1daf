/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter.variant;

import ai.djl.lora.LoraVariantException;
import ai.djl.lora.adapter.AdapterVariant;
import ai.djl.lora.adapter.ConfigFields;
import ai.djl.lora.adapter.Placement;
import ai.djl.lora.adapter.VariantReader;
import ai.djl.lora.op.ModelLayout;
import ai.djl.lora.tensor.HostTensor;
import java.util.List;

/**
 * Prefix tuning (arXiv 2101.00190): keys and values that every token sees before the first. PEFT
 * runs the projection, if there is one, when it saves, and saves what comes out.
 */
public final class PrefixVariant implements AdapterVariant {

    /** {@inheritDoc} */
    @Override
    public List<String> peftTypes() {
        return List.of("PREFIX_TUNING");
    }

    /** {@inheritDoc} */
    @Override
    public VariantReader read(ConfigFields fields) {
        VirtualTokens tokens = VirtualTokens.read(fields);
        fields.leave("encoder_hidden_size", "prefix_projection");
        SavedModules saved = SavedModules.read(fields);
        return placement -> {
            place(placement, tokens.count());
            saved.place(placement);
        };
    }

    private static void place(Placement placement, int count) {
        ModelLayout.Attention attention =
                placement
                        .layout()
                        .attention()
                        .orElseThrow(
                                () ->
                                        new LoraVariantException(
                                                placement.source()
                                                        + ": the model takes no prefix: the shape of its keys"
                                                        + " and values is not known"));
        long[] shape = {
            count, 2L * attention.layers(), attention.keyValueHeads(), attention.headDim()
        };
        placement
                .part("prefix", "prefix", 0, 1)
                .require(
                        VirtualTokens.TENSOR,
                        "by num_virtual_tokens and the model's "
                                + attention.layers()
                                + " layers of "
                                + attention.keyValueHeads()
                                + " keys and values of "
                                + attention.headDim(),
                        count,
                        shape[1] * shape[2] * shape[3])
                .apply(
                        (tensors, changes) -> {
                            HostTensor read = tensors.read(VirtualTokens.TENSOR);
                            changes.optPrefix(new HostTensor(read.type(), shape, read.data()));
                        });
    }
}
