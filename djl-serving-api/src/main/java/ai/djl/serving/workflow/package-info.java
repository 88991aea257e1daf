/*
 * SPDX-License-Identifier: Apache-2.0
 */

/** Declarations of the types of DJL Serving 0.36.0 that this project compiles against. */
package ai.djl.serving.workflow;
