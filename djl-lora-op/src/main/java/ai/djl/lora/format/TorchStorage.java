/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.safetensors.SafetensorsType;

/**
 * What a pickle says of a storage: the elements that one or more tensors look at.
 *
 * @param key the storage's key in the file
 * @param type the type of its elements
 * @param count how many elements it has
 */
record TorchStorage(String key, SafetensorsType type, long count) {}
