/*
 * SPDX-License-Identifier: Apache-2.0
 */
/** Serves a model and its adapters beside a Spring Boot application, as its properties say. */
package ai.djl.lora.spring;
