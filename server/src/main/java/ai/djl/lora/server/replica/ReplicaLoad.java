/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.replica;

/**
 * How much a replica has to do.
 *
 * @param replica which one, from 0
 * @param answers the answers that it was asked for and that have not ended, whether they wait or
 *     are written
 */
public record ReplicaLoad(int replica, int answers) {}
