/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import ai.djl.lora.LoraConfigurationException;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * A revision that a share of an adapter's requests gets until it becomes the current one or is
 * given up. It is not among the adapter's revisions, to which nobody goes back by mistake.
 *
 * @param revision the revision
 * @param share which part of the requests gets it, above 0 and at most 1
 * @param priority the adapter's priority once this is the current revision; empty for as it is
 * @param pinned whether the adapter is pinned once this is the current revision; empty for as it is
 */
public record RegisteredCanary(
        AdapterRevision revision, double share, OptionalDouble priority, Optional<Boolean> pinned) {

    /**
     * Constructs a new {@code RegisteredCanary} instance.
     *
     * @param revision the revision
     * @param share which part of the requests gets it, above 0 and at most 1
     * @param priority the adapter's priority once this is the current revision; empty for as it is
     * @param pinned whether the adapter is pinned once this is the current revision; empty for as
     *     it is
     * @throws LoraConfigurationException if the share or the priority is not allowed
     */
    public RegisteredCanary {
        if (!(share > 0 && share <= 1)) {
            throw new LoraConfigurationException(
                    "A canary's share is " + share + "; it must be above 0 and at most 1");
        }
        priority.ifPresent(Registration::checkPriority);
    }

    /**
     * Returns what makes this the current revision.
     *
     * @param name the adapter's own name
     * @return its registration
     */
    public Registration registration(String name) {
        Registration.Builder registration =
                Registration.builder()
                        .setName(name)
                        .setHash(revision.hash())
                        .setSource(revision.source())
                        .setBytes(revision.bytes())
                        .optMetadata(revision.metadata());
        if (revision.validated()) {
            registration.optValidated(revision.checksums());
        }
        priority.ifPresent(registration::optPriority);
        pinned.ifPresent(registration::optPinned);
        return registration.build();
    }

    RegisteredCanary withRevision(AdapterRevision other) {
        return new RegisteredCanary(other, share, priority, pinned);
    }
}
