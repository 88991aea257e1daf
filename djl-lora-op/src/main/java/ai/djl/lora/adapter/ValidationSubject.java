/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import ai.djl.lora.op.ModelLayout;
import ai.djl.lora.safetensors.TensorInfo;
import java.util.Map;

/**
 * What a {@link ValidationRule} looks at.
 *
 * @param config the adapter's configuration
 * @param layout what of the model adapters may change
 * @param tensors the adapter's tensors by their normalised names
 * @param report what was found so far; its revision is not known yet
 */
public record ValidationSubject(
        PeftConfig config,
        ModelLayout layout,
        Map<String, TensorInfo> tensors,
        LoadReport report) {}
