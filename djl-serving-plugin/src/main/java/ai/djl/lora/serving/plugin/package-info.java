/*
 * SPDX-License-Identifier: Apache-2.0
 */

/**
 * The plugin for DJL Serving: the routes of adapters for models of this project. Models of other
 * engines stay with the server's own routes.
 */
package ai.djl.lora.serving.plugin;
