/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.safetensors.SafetensorsType;
import java.util.Arrays;
import java.util.Optional;

/**
 * What a pickle may name. Python's own reader imports and calls whatever a pickle names; here
 * nothing is called that is not in this list, and what is in it only describes tensors.
 */
enum TorchName {
    /** Makes a tensor of a storage. */
    REBUILD_TENSOR("torch._utils", "_rebuild_tensor_v2"),
    /** Makes a parameter of a tensor. */
    REBUILD_PARAMETER("torch._utils", "_rebuild_parameter"),
    /** A state dict, and the hooks of a tensor. */
    ORDERED_DICT("collections", "OrderedDict"),
    /** float32. */
    FLOAT("torch", "FloatStorage", SafetensorsType.F32),
    /** float16. */
    HALF("torch", "HalfStorage", SafetensorsType.F16),
    /** bfloat16. */
    BFLOAT16("torch", "BFloat16Storage", SafetensorsType.BF16),
    /** float64. */
    DOUBLE("torch", "DoubleStorage", SafetensorsType.F64),
    /** int64. */
    LONG("torch", "LongStorage", SafetensorsType.I64),
    /** int32. */
    INT("torch", "IntStorage", SafetensorsType.I32),
    /** int16. */
    SHORT("torch", "ShortStorage", SafetensorsType.I16),
    /** int8. */
    CHAR("torch", "CharStorage", SafetensorsType.I8),
    /** uint8. */
    BYTE("torch", "ByteStorage", SafetensorsType.U8),
    /** bool. */
    BOOL("torch", "BoolStorage", SafetensorsType.BOOL);

    private final String module;
    private final String name;
    private final SafetensorsType type;

    TorchName(String module, String name) {
        this(module, name, null);
    }

    TorchName(String module, String name, SafetensorsType type) {
        this.module = module;
        this.name = name;
        this.type = type;
    }

    /** Returns what a name stands for, empty where nothing may be called so. */
    static Optional<TorchName> of(String module, String name) {
        return Arrays.stream(values())
                .filter(each -> each.module.equals(module) && each.name.equals(name))
                .findAny();
    }

    /** Returns the name in full. */
    String qualified() {
        return module + '.' + name;
    }

    /** Returns the type of a storage's elements, empty for what is no storage. */
    Optional<SafetensorsType> type() {
        return Optional.ofNullable(type);
    }
}
