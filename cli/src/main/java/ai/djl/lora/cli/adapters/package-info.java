/*
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * The command line's work on adapters' files: what they hold, whether they fit a model, how two
 * differ, and writing them in another form.
 */
package ai.djl.lora.cli.adapters;
