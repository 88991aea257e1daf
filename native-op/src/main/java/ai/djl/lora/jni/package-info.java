/*
 * SPDX-License-Identifier: Apache-2.0
 */
/** The JNI bridge to the operators of libdjl_lora and the loader that finds the library. */
package ai.djl.lora.jni;
