/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.memory;

/** Something that was made known to somebody, such as a listener, until this is closed. */
@FunctionalInterface
public interface Registration extends AutoCloseable {

    /** Makes it forgotten. A second call has no effect. */
    @Override
    void close();
}
