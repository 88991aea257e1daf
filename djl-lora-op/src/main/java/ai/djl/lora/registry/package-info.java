/*
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * Which adapters there are, apart from where their weights lie: names, revisions, aliases, and how
 * they are used, kept across restarts. Also what feeds that list and guards it: a watched directory
 * and a memory of adapters that could not be loaded.
 */
package ai.djl.lora.registry;
