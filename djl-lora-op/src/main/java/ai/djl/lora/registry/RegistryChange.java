/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

/** A part of a change, as the state behind it: making it twice is the same as making it once. */
sealed interface RegistryChange {

    /** An adapter is there, as given, whether or not it was there before. */
    record PutAdapter(RegisteredAdapter adapter) implements RegistryChange {}

    /** An adapter is no longer there. */
    record RemoveAdapter(String name) implements RegistryChange {}

    /** A name stands for another, whether or not it stood for something before. */
    record PutAlias(String alias, String target) implements RegistryChange {}

    /** A name no longer stands for another. */
    record RemoveAlias(String alias) implements RegistryChange {}
}
