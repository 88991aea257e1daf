/*
 * SPDX-License-Identifier: Apache-2.0
 */
/**
 * Requests, responses and routes, whatever carries them. Nothing here knows of Netty or of models.
 */
package ai.djl.lora.server.http;
