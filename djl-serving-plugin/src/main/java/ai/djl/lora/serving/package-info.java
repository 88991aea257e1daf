/*
 * SPDX-License-Identifier: Apache-2.0
 */

/**
 * What DJL Serving's plugin and workflow functions share: how they tell models of this project from
 * others, and how an adapter is handed to a worker. No type of the project is used, since a plugin
 * sees none.
 */
package ai.djl.lora.serving;
