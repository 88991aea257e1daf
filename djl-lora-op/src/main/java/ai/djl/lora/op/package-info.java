/*
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * The SGMV operator and the tensor operations around it, behind one interface with a native and a
 * plain NDArray backend. Batch plans say which rows use which adapter.
 */
package ai.djl.lora.op;
