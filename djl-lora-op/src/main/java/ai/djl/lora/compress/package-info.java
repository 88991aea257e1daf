/*
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * How adapters that are not in use are kept in less of the host's memory: codecs, what each of them
 * saves and what it loses, and the checks that what comes back is what was put away.
 */
package ai.djl.lora.compress;
