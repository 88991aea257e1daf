/*
 * SPDX-License-Identifier: Apache-2.0
 */
/** The page at {@code /console}, for people. */
package ai.djl.lora.server.console;
