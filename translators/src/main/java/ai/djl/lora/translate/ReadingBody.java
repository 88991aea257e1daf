/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.generate.ReadRequest;
import java.util.List;

/**
 * What a serving {@code Input} asks to be read.
 *
 * @param requests one for each text
 * @param list whether the texts came as a list, and so do the answers
 * @param <R> what the engine answers
 */
record ReadingBody<R>(List<ReadRequest<R>> requests, boolean list) {}
