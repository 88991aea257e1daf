/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.compress;

/**
 * An adapter as {@link HostCompressor} leaves it. The bytes can be put into a block of memory of
 * the host's tier and let go; the encoding is kept beside it.
 *
 * @param encoding how to get the adapter back
 * @param data the bytes; where nothing was encoded, the adapter's own
 */
public record EncodedAdapter(Encoding encoding, byte[] data) {}
