/*
 * SPDX-License-Identifier: Apache-2.0
 */

/**
 * The native library: finding and loading it, and its methods as they are.
 *
 * <p>Nothing here knows of adapters or models; callers use the interfaces of {@code
 * ai.djl.lora.op}.
 */
package ai.djl.lora.jni;
