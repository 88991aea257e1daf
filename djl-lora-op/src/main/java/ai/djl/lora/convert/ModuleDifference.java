/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.convert;

import ai.djl.lora.adapter.ModuleReport;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * How what two adapters do to one module differs.
 *
 * @param module the module's name
 * @param first what the first adapter does to it, or empty
 * @param second what the second adapter does to it, or empty
 * @param largest for each part that differs the largest absolute difference of an element: {@code
 *     product} is {@code scale * B A}, the change of the weight, whatever the ranks; empty where
 *     there is nothing to subtract, since only one adapter has the part or the shapes differ
 */
public record ModuleDifference(
        String module,
        Optional<ModuleReport> first,
        Optional<ModuleReport> second,
        Map<String, OptionalDouble> largest) {}
