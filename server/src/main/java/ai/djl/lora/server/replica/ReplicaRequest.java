/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.replica;

/**
 * What of a request decides which replica it gets.
 *
 * @param session what it has in common with others whose prompts begin the same; "" for nothing
 * @param adapter the revision that answers it, or the name of a stack; "" for the base model
 * @param answers how many answers it asks for, 1 or more
 */
public record ReplicaRequest(String session, String adapter, int answers) {}
