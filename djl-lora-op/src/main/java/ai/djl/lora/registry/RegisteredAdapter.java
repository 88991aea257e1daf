/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * What the registry holds of an adapter at one moment. Instances never change: a change of the
 * registry makes another one.
 *
 * @param name the adapter's own name
 * @param revisions what can be reached of the adapter, at least one and each content once. Before
 *     the current one lie the ones that were current earlier, the last one last; behind it those
 *     that a rollback left.
 * @param currentIndex which of the revisions requests get
 * @param priority how much the adapter is worth keeping, higher is more; finite
 * @param tenant to whom the adapter belongs, if to anybody
 * @param pinned whether the adapter must stay resident
 * @param retired whether the adapter is kept on record alone, and answers no new requests
 * @param canary what a share of the requests gets instead of the current revision, if any
 */
public record RegisteredAdapter(
        String name,
        List<AdapterRevision> revisions,
        int currentIndex,
        double priority,
        Optional<String> tenant,
        boolean pinned,
        boolean retired,
        Optional<RegisteredCanary> canary) {

    /**
     * Constructs a new {@code RegisteredAdapter} instance.
     *
     * @param name the adapter's own name
     * @param revisions what can be reached of the adapter, at least one and each content once.
     *     Before the current one lie the ones that were current earlier, the last one last; behind
     *     it those that a rollback left.
     * @param currentIndex which of the revisions requests get
     * @param priority how much the adapter is worth keeping, higher is more; finite
     * @param tenant to whom the adapter belongs, if to anybody
     * @param pinned whether the adapter must stay resident
     * @param retired whether the adapter is kept on record alone, and answers no new requests
     * @param canary what a share of the requests gets instead of the current revision, if any
     * @throws ai.djl.lora.LoraConfigurationException if a name cannot be one or the priority is not
     *     finite
     * @throws IllegalArgumentException if the index is not one of a revision, or two revisions have
     *     one content
     */
    public RegisteredAdapter {
        NameRules.checkName("Adapter name", name);
        tenant.ifPresent(owner -> NameRules.checkName("Tenant", owner));
        Registration.checkPriority(priority);
        revisions = List.copyOf(revisions);
        if (currentIndex < 0 || currentIndex >= revisions.size()) {
            throw new IllegalArgumentException(
                    "Revision " + currentIndex + " of " + revisions.size());
        }
        if (revisions.stream().map(AdapterRevision::hash).distinct().count() < revisions.size()) {
            throw new IllegalArgumentException("A revision occurs twice");
        }
    }

    /**
     * Returns the revision that requests get.
     *
     * @return the current revision
     */
    public AdapterRevision current() {
        return revisions.get(currentIndex);
    }

    /**
     * Returns the revision that requests got before the current one was registered.
     *
     * @return the revision, empty if the current one is the first that is still on record
     */
    public Optional<AdapterRevision> previous() {
        return currentIndex == 0 ? Optional.empty() : Optional.of(revisions.get(currentIndex - 1));
    }

    /**
     * Returns a revision by its content, be it one of the adapter's or its canary's.
     *
     * @param hash the content's SHA-256 in hexadecimal digits
     * @return the revision, empty if it is not on record
     */
    public Optional<AdapterRevision> revision(String hash) {
        return Stream.concat(revisions.stream(), canary.map(RegisteredCanary::revision).stream())
                .filter(revision -> revision.hash().equals(hash))
                .findFirst();
    }

    RegisteredAdapter withRevisions(List<AdapterRevision> others, int index) {
        return new RegisteredAdapter(
                name, others, index, priority, tenant, pinned, retired, canary);
    }

    RegisteredAdapter withPriority(double other) {
        return new RegisteredAdapter(
                name, revisions, currentIndex, other, tenant, pinned, retired, canary);
    }

    RegisteredAdapter withPinned(boolean other) {
        return new RegisteredAdapter(
                name, revisions, currentIndex, priority, tenant, other, retired, canary);
    }

    RegisteredAdapter withRetired(boolean other) {
        return new RegisteredAdapter(
                name, revisions, currentIndex, priority, tenant, pinned, other, canary);
    }

    RegisteredAdapter withCanary(Optional<RegisteredCanary> other) {
        return new RegisteredAdapter(
                name, revisions, currentIndex, priority, tenant, pinned, retired, other);
    }
}
