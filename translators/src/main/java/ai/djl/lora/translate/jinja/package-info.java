/*
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * Renders the part of the Jinja language that chat templates are written in, with Python's values
 * and texts, as transformers renders them. Templates come with models from anywhere: they reach
 * nothing but the values they are given, and what they may cost is limited.
 */
package ai.djl.lora.translate.jinja;
