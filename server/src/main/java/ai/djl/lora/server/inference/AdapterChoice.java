/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

/**
 * The adapter that answers an input.
 *
 * @param name what it is called in the answer: the name that led to it, a stack's parts with their
 *     weights, "" for the base model
 * @param target what the store knows it by; "" for the base model
 * @param release gives back what was made for this request alone
 */
public record AdapterChoice(String name, String target, Runnable release) {

    /** Nothing was made for the request. */
    static final Runnable NOTHING = () -> {};
}
