/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

import ai.djl.lora.cache.Substitution;
import java.util.Optional;

/**
 * Who answers a request, known once the engine has begun with it.
 *
 * @param revision the content hash of the adapter that answers; {@code base} for the base model
 * @param substitution who answers in the adapter's place and why; empty where it answers itself
 */
public record AnsweringRevision(String revision, Optional<Substitution> substitution) {}
