/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraException;
import ai.djl.lora.json.Message;
import ai.djl.lora.registry.RegistryChange.PutAdapter;
import ai.djl.lora.registry.RegistryChange.PutAlias;
import ai.djl.lora.registry.RegistryChange.RemoveAdapter;
import ai.djl.lora.registry.RegistryChange.RemoveAlias;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Which adapters there are, whether or not their weights are in memory: revisions by name, aliases,
 * priorities, tenants, pins, and how each is used.
 *
 * <p>A registry in a directory is written through: a method that changes it returns when the disk
 * has the change, a crash leaves the state before or after a change and never between, and a change
 * that cannot be written is not made. Lookups never wait for that. All methods may be called by
 * several threads at once.
 *
 * <p>A name leads to an adapter or, as an alias, to another name, never to both. Methods take
 * either unless they say otherwise.
 */
public final class AdapterRegistry implements AutoCloseable {

    private static final Logger logger = LoggerFactory.getLogger(AdapterRegistry.class);

    private final RegistryOptions options;
    private final RegistryState state = new RegistryState();
    private final EventQueue events = new EventQueue();
    private final AccessStatistics statistics;

    /** Held while a change is checked, written and put in force, never while a listener runs. */
    private final ReentrantLock changes = new ReentrantLock();

    private RegistryLog log;
    private StatisticsFile statisticsFile;
    private ScheduledExecutorService timer;
    private volatile long sequence;
    private boolean closed;

    private AdapterRegistry(RegistryOptions options) {
        this.options = options;
        this.statistics = new AccessStatistics(options.clock(), options.halfLife());
    }

    /**
     * Returns a registry that is not kept anywhere.
     *
     * @param options how records are kept
     * @return an empty registry
     */
    public static AdapterRegistry inMemory(RegistryOptions options) {
        return new AdapterRegistry(options);
    }

    /**
     * Opens the registry in a directory, or begins one there.
     *
     * @param directory the directory, made if it is not there; nobody else may write into it
     * @param options how records are kept
     * @return the registry as it was when it was last changed, to be closed by the caller
     * @throws LoraConfigurationException if a registry is open there, in this process or another,
     *     if a file was damaged, or if it cannot be read
     */
    public static AdapterRegistry open(Path directory, RegistryOptions options) {
        AdapterRegistry registry = new AdapterRegistry(options);
        registry.log =
                RegistryLog.open(
                        directory,
                        options.compactionBytes(),
                        (sequence, payload) -> registry.publish(ChangeCodec.decode(payload)));
        boolean open = false;
        try {
            registry.sequence = registry.log.sequence();
            registry.checkLoaded(directory);
            registry.statisticsFile = new StatisticsFile(directory);
            registry.statisticsFile.read().forEach(registry.statistics::restore);
            registry.startTimer();
            open = true;
            return registry;
        } finally {
            if (!open) {
                registry.closeLog();
            }
        }
    }

    private void checkLoaded(Path directory) {
        try {
            state.check();
        } catch (IllegalArgumentException e) {
            throw new LoraConfigurationException(
                    Message.oneLine(directory.toString())
                            + ": the registry's records do not agree: "
                            + e.getMessage(),
                    e);
        }
    }

    private void startTimer() {
        long interval = options.statisticsInterval().toMillis();
        if (interval == 0) {
            return;
        }
        timer =
                Executors.newSingleThreadScheduledExecutor(
                        task -> {
                            Thread thread = new Thread(task, "djl-lora-registry");
                            thread.setDaemon(true);
                            return thread;
                        });
        timer.scheduleWithFixedDelay(this::saveOnTimer, interval, interval, TimeUnit.MILLISECONDS);
    }

    private void saveOnTimer() {
        changes.lock();
        try {
            if (!closed) {
                saveStatistics();
            }
        } catch (LoraException e) {
            logger.warn("{}", e.getMessage());
        } finally {
            changes.unlock();
        }
    }

    /**
     * Registers an adapter under a new name.
     *
     * @param registration what is known of it
     * @return the adapter
     * @throws LoraConfigurationException if the name is taken or something is not as it must be
     * @throws LoraException if the change cannot be written
     */
    public RegisteredAdapter register(Registration registration) {
        return change(
                () -> {
                    String name = registration.name();
                    if (state.get(name) != null) {
                        throw new LoraConfigurationException(
                                "Adapter " + Message.quote(name) + " is registered already");
                    }
                    return put(registered(registration));
                });
    }

    /**
     * Gives a registered adapter another revision, which requests get from now on. The one before
     * stays on record; an adapter that was retired is back. Content that is on record already takes
     * the place of what is noted of it there. A canary of that content is none any more.
     *
     * @param registration what is known of the revision, under the adapter's own name
     * @return the adapter
     * @throws LoraConfigurationException if there is no adapter of that name, it belongs to another
     *     tenant, or something is not as it must be
     * @throws LoraException if the change cannot be written
     */
    public RegisteredAdapter reregister(Registration registration) {
        return change(
                () -> {
                    own(registration.name());
                    return put(registered(registration));
                });
    }

    /**
     * Registers the adapters whose names are new and gives the others another revision, all in one
     * change: after a crash all are there or none.
     *
     * @param registrations what is known of them, each name once
     * @return the adapters in the same order
     * @throws LoraConfigurationException if one of them cannot be registered; none is then
     * @throws LoraException if the change cannot be written
     */
    public List<RegisteredAdapter> putAll(Collection<Registration> registrations) {
        return change(
                () -> {
                    Map<String, RegisteredAdapter> adapters = new LinkedHashMap<>();
                    for (Registration registration : registrations) {
                        RegisteredAdapter adapter = registered(registration);
                        if (adapters.put(adapter.name(), adapter) != null) {
                            throw new LoraConfigurationException(
                                    "Adapter "
                                            + Message.quote(adapter.name())
                                            + " is to be registered twice at once");
                        }
                    }
                    return new Change<>(
                            adapters.values().stream()
                                    .filter(adapter -> !adapter.equals(state.get(adapter.name())))
                                    .<RegistryChange>map(PutAdapter::new)
                                    .toList(),
                            List.copyOf(adapters.values()));
                });
    }

    private RegisteredAdapter registered(Registration registration) {
        String name = registration.name();
        String target = state.target(name);
        if (target != null) {
            throw new LoraConfigurationException(
                    Message.quote(name) + " is an alias of " + Message.quote(target) + " already");
        }
        AdapterRevision revision = registration.revision(options.clock().instant());
        RegisteredAdapter before = state.get(name);
        if (before == null) {
            return new RegisteredAdapter(
                    name,
                    List.of(revision),
                    0,
                    registration.priority().orElse(0),
                    registration.tenant(),
                    registration.pinned().orElse(false),
                    false,
                    Optional.empty());
        }
        checkTenant(before, registration.tenant());
        return (isCurrent(before, revision) ? before : revised(before, revision))
                .withPriority(registration.priority().orElse(before.priority()))
                .withPinned(registration.pinned().orElse(before.pinned()))
                .withRetired(false)
                .withCanary(
                        before.canary()
                                .filter(
                                        canary ->
                                                !canary.revision().hash().equals(revision.hash())));
    }

    private static void checkTenant(RegisteredAdapter adapter, Optional<String> tenant) {
        if (tenant.isPresent() && !tenant.equals(adapter.tenant())) {
            throw new LoraConfigurationException(
                    "Adapter "
                            + Message.quote(adapter.name())
                            + " belongs to "
                            + adapter.tenant()
                                    .map(owner -> "tenant " + Message.quote(owner))
                                    .orElse("no tenant")
                            + ", not to tenant "
                            + Message.quote(tenant.get()));
        }
    }

    /** Returns whether nothing but the time sets a revision apart from the current one. */
    private static boolean isCurrent(RegisteredAdapter adapter, AdapterRevision revision) {
        return adapter.current().equals(revision.withRegistered(adapter.current().registered()));
    }

    /** Returns the adapter with a revision as its current one, and the oldest ones left out. */
    private RegisteredAdapter revised(RegisteredAdapter adapter, AdapterRevision revision) {
        if (adapter.current().hash().equals(revision.hash())) {
            return replaced(adapter, revision);
        }
        List<AdapterRevision> old = adapter.revisions();
        int next = adapter.currentIndex() + 1;
        // what a rollback left is worth least: it goes to the front, where revisions are dropped
        List<AdapterRevision> revisions = new ArrayList<>(old.subList(next, old.size()));
        revisions.addAll(old.subList(0, next));
        revisions.removeIf(other -> other.hash().equals(revision.hash()));
        revisions.add(revision);
        int from = Math.max(0, revisions.size() - options.maxRevisions());
        return adapter.withRevisions(
                revisions.subList(from, revisions.size()), revisions.size() - from - 1);
    }

    /**
     * Takes an adapter with all its revisions and statistics off the record.
     *
     * @param name the adapter's own name
     * @throws LoraConfigurationException if there is no adapter of that name, or an alias leads to
     *     it
     * @throws LoraException if the change cannot be written
     */
    public void unregister(String name) {
        change(
                () -> {
                    own(name);
                    checkNoAliases(name);
                    return new Change<>(List.of(new RemoveAdapter(name)), null);
                });
    }

    /**
     * Takes an adapter out of use and keeps it on record: {@link #resolve} refuses it until it is
     * registered again.
     *
     * @param name the adapter's own name
     * @return the adapter
     * @throws LoraConfigurationException if there is no adapter of that name
     * @throws LoraException if the change cannot be written
     */
    public RegisteredAdapter retire(String name) {
        return change(() -> put(own(name).withRetired(true)));
    }

    /**
     * Keeps an adapter resident.
     *
     * @param name the adapter's name
     * @return the adapter
     * @throws LoraConfigurationException if there is no adapter of that name
     * @throws LoraException if the change cannot be written
     */
    public RegisteredAdapter pin(String name) {
        return update(name, adapter -> adapter.withPinned(true));
    }

    /**
     * Lets an adapter be evicted again.
     *
     * @param name the adapter's name
     * @return the adapter
     * @throws LoraConfigurationException if there is no adapter of that name
     * @throws LoraException if the change cannot be written
     */
    public RegisteredAdapter unpin(String name) {
        return update(name, adapter -> adapter.withPinned(false));
    }

    /**
     * Sets how much an adapter is worth keeping.
     *
     * @param name the adapter's name
     * @param priority the priority, higher is more; finite
     * @return the adapter
     * @throws LoraConfigurationException if there is no adapter of that name or the priority is not
     *     finite
     * @throws LoraException if the change cannot be written
     */
    public RegisteredAdapter setPriority(String name, double priority) {
        return update(name, adapter -> adapter.withPriority(priority));
    }

    /**
     * Replaces what is noted of an adapter's current revision.
     *
     * @param name the adapter's name
     * @param metadata at most 64 texts by name, of at most 8,192 characters each
     * @return the adapter
     * @throws LoraConfigurationException if there is no adapter of that name or the metadata cannot
     *     be stored
     * @throws LoraException if the change cannot be written
     */
    public RegisteredAdapter setMetadata(String name, Map<String, String> metadata) {
        return update(
                name,
                adapter -> {
                    AdapterRevision current = adapter.current();
                    return replaced(adapter, current.withMetadata(metadata));
                });
    }

    /**
     * Notes that a revision was read whole and fits the model.
     *
     * @param name the adapter's name
     * @param hash which revision, on record
     * @param checksums what is needed to check its parts one by one, may be empty; at most 1 MB
     * @return the adapter
     * @throws LoraConfigurationException if there is no such adapter or revision
     * @throws LoraException if the change cannot be written
     */
    public RegisteredAdapter setValidated(String name, String hash, byte[] checksums) {
        return update(
                name,
                adapter -> replaced(adapter, revision(adapter, hash).withChecksums(checksums)));
    }

    private static RegisteredAdapter replaced(RegisteredAdapter adapter, AdapterRevision revision) {
        List<AdapterRevision> revisions = new ArrayList<>(adapter.revisions());
        revisions.replaceAll(other -> other.hash().equals(revision.hash()) ? revision : other);
        return adapter.withRevisions(revisions, adapter.currentIndex())
                .withCanary(
                        adapter.canary()
                                .map(
                                        canary ->
                                                canary.revision().hash().equals(revision.hash())
                                                        ? canary.withRevision(revision)
                                                        : canary));
    }

    /**
     * Makes the revision before the current one the current one.
     *
     * @param name the adapter's name
     * @return the adapter
     * @throws LoraConfigurationException if there is no adapter of that name or no earlier revision
     * @throws LoraException if the change cannot be written
     */
    public RegisteredAdapter rollback(String name) {
        return update(
                name,
                adapter -> {
                    if (adapter.currentIndex() == 0) {
                        throw new LoraConfigurationException(
                                "Adapter "
                                        + Message.quote(adapter.name())
                                        + " has no revision before "
                                        + adapter.current().hash());
                    }
                    return adapter.withRevisions(adapter.revisions(), adapter.currentIndex() - 1);
                });
    }

    /**
     * Makes a revision on record the current one, be it older or newer than that.
     *
     * @param name the adapter's name
     * @param hash which revision
     * @return the adapter
     * @throws LoraConfigurationException if there is no such adapter or revision
     * @throws LoraException if the change cannot be written
     */
    public RegisteredAdapter rollback(String name, String hash) {
        return update(
                name,
                adapter -> {
                    int index = adapter.revisions().indexOf(revision(adapter, hash));
                    if (index < 0) {
                        throw new LoraConfigurationException(
                                "Revision "
                                        + Message.quote(hash)
                                        + " of adapter "
                                        + Message.quote(adapter.name())
                                        + " is a canary, which never was the current one");
                    }
                    return adapter.withRevisions(adapter.revisions(), index);
                });
    }

    /**
     * Notes that a share of an adapter's requests gets another revision, or another share than
     * before. The current revision stays what it is.
     *
     * @param registration what is known of the revision, under the adapter's own name
     * @param share which part of the requests gets it, above 0 and at most 1
     * @return the adapter
     * @throws LoraConfigurationException if there is no adapter of that name, it belongs to another
     *     tenant, or something is not as it must be
     * @throws LoraException if the change cannot be written
     */
    public RegisteredAdapter setCanary(Registration registration, double share) {
        return change(
                () -> {
                    RegisteredAdapter adapter = own(registration.name());
                    checkTenant(adapter, registration.tenant());
                    return put(
                            adapter.withCanary(
                                    Optional.of(
                                            registration.canary(
                                                    share, options.clock().instant()))));
                });
    }

    /**
     * Takes the canary of an adapter off the record. Has no effect where there is none.
     *
     * @param name the adapter's own name
     * @throws LoraException if the change cannot be written
     */
    public void endCanary(String name) {
        change(
                () -> {
                    RegisteredAdapter adapter = state.get(name);
                    return adapter == null
                            ? new Change<>(List.of(), null)
                            : put(adapter.withCanary(Optional.empty()));
                });
    }

    private static AdapterRevision revision(RegisteredAdapter adapter, String hash) {
        return adapter.revision(hash)
                .orElseThrow(
                        () ->
                                new LoraConfigurationException(
                                        "Adapter "
                                                + Message.quote(adapter.name())
                                                + " has no revision "
                                                + Message.quote(hash)
                                                + " on record; it has "
                                                + adapter.revisions().stream()
                                                        .map(AdapterRevision::hash)
                                                        .toList()));
    }

    /**
     * Lets a name stand for another. An alias that exists is set anew, which is how requests are
     * moved from one adapter to another in one step.
     *
     * @param alias the name, not that of an adapter
     * @param target the name of an adapter or of another alias
     * @throws LoraConfigurationException if the alias is an adapter's name or cannot be one, the
     *     target does not exist, or it leads back to the alias
     * @throws LoraException if the change cannot be written
     */
    public void alias(String alias, String target) {
        NameRules.checkName("Alias", alias);
        change(
                () -> {
                    if (state.get(alias) != null) {
                        throw new LoraConfigurationException(
                                Message.quote(alias)
                                        + " is an adapter's name and cannot be an alias of "
                                        + Message.quote(target));
                    }
                    get(target);
                    List<String> chain = state.chain(target);
                    if (chain.contains(alias)) {
                        throw new LoraConfigurationException(
                                "Alias "
                                        + Message.quote(alias)
                                        + " of "
                                        + Message.quote(target)
                                        + " would stand for itself");
                    }
                    return new Change<>(
                            target.equals(state.target(alias))
                                    ? List.of()
                                    : List.of(new PutAlias(alias, target)),
                            null);
                });
    }

    /**
     * Takes an alias away.
     *
     * @param alias the alias
     * @throws LoraConfigurationException if there is no such alias, or another one leads to it
     * @throws LoraException if the change cannot be written
     */
    public void unalias(String alias) {
        change(
                () -> {
                    if (state.target(alias) == null) {
                        throw state.get(alias) == null
                                ? unknown(alias)
                                : new LoraConfigurationException(
                                        Message.quote(alias)
                                                + " is an adapter's name, not an alias");
                    }
                    checkNoAliases(alias);
                    return new Change<>(List.of(new RemoveAlias(alias)), null);
                });
    }

    private void checkNoAliases(String name) {
        List<String> aliases = state.aliasesOf(name);
        if (!aliases.isEmpty()) {
            throw new LoraConfigurationException(
                    Message.quote(name)
                            + " has "
                            + (aliases.size() == 1
                                    ? "the alias "
                                    : aliases.size() + " aliases, as ")
                            + Message.quote(aliases.get(0))
                            + "; take that away first");
        }
    }

    /**
     * Returns an adapter, also one that was retired.
     *
     * @param name its name or an alias
     * @return the adapter as of this moment, empty if there is none
     */
    public Optional<RegisteredAdapter> find(String name) {
        return state.find(name);
    }

    /**
     * Returns an adapter, also one that was retired.
     *
     * @param name its name or an alias
     * @return the adapter as of this moment
     * @throws LoraConfigurationException if there is none; the message names the nearest
     */
    public RegisteredAdapter get(String name) {
        return state.find(name).orElseThrow(() -> unknown(name));
    }

    /**
     * Returns an adapter that answers requests.
     *
     * @param name its name or an alias
     * @return the adapter as of this moment
     * @throws LoraConfigurationException if there is none, or it was retired
     */
    public RegisteredAdapter resolve(String name) {
        RegisteredAdapter adapter = get(name);
        if (adapter.retired()) {
            throw new LoraConfigurationException(
                    "Adapter "
                            + Message.quote(adapter.name())
                            + " was retired and answers no requests until it is registered again");
        }
        return adapter;
    }

    /**
     * Returns how many adapters there are.
     *
     * @return the number, with those that were retired
     */
    public int size() {
        return state.size();
    }

    /**
     * Returns every adapter.
     *
     * @return the adapters of one moment, also those that were retired, by name
     */
    public List<RegisteredAdapter> list() {
        return list(adapter -> true);
    }

    /**
     * Returns the adapters of a tenant.
     *
     * @param tenant the tenant's name
     * @return the adapters of one moment, also those that were retired, by name
     */
    public List<RegisteredAdapter> listByTenant(String tenant) {
        return list(adapter -> adapter.tenant().equals(Optional.of(tenant)));
    }

    /**
     * Returns the adapters whose own names begin alike.
     *
     * @param prefix how the names begin
     * @return the adapters of one moment, also those that were retired, by name
     */
    public List<RegisteredAdapter> listByPrefix(String prefix) {
        return list(adapter -> adapter.name().startsWith(prefix));
    }

    private List<RegisteredAdapter> list(Predicate<RegisteredAdapter> wanted) {
        return state.adapters().stream()
                .filter(wanted)
                .sorted(Comparator.comparing(RegisteredAdapter::name))
                .toList();
    }

    /**
     * Returns every alias.
     *
     * @return the name that each stands for, by alias, as of one moment
     */
    public Map<String, String> aliases() {
        return state.aliases();
    }

    /**
     * Returns the adapters that were used most, each access counting less the longer ago it was.
     *
     * @param count how many at most
     * @return adapters that answer requests and were used at least once, the hottest first
     */
    public List<RegisteredAdapter> hottest(int count) {
        return statistics
                .hottest(
                        count,
                        name -> {
                            RegisteredAdapter adapter = state.get(name);
                            return adapter != null && !adapter.retired();
                        })
                .stream()
                .map(state::get)
                .filter(Objects::nonNull)
                .toList();
    }

    /**
     * Returns how the adapters are used.
     *
     * @return the counters
     */
    public AccessStatistics statistics() {
        return statistics;
    }

    /**
     * Writes how the adapters were used up to now, if this registry is kept in a directory.
     *
     * @throws LoraException if that cannot be written; what was written before is still there
     */
    public void saveStatistics() {
        changes.lock();
        try {
            checkOpen();
            if (statisticsFile != null) {
                statisticsFile.write(statistics.snapshot());
            }
        } finally {
            changes.unlock();
        }
    }

    /**
     * Returns how many changes there were since the registry began.
     *
     * @return the number of the last change
     */
    public long sequence() {
        return sequence;
    }

    /**
     * Adds a listener, which is told of changes from now on.
     *
     * @param listener the listener
     */
    public void addListener(RegistryListener listener) {
        events.addListener(listener);
    }

    /**
     * Takes a listener away. It may be told of a change that is under way.
     *
     * @param listener the listener
     */
    public void removeListener(RegistryListener listener) {
        events.removeListener(listener);
    }

    /** What a method wants to change, nothing if it is so already, and what it returns. */
    private record Change<T>(List<RegistryChange> parts, T result) {}

    /** Checks a change, and says what it is; called while nothing else changes. */
    @FunctionalInterface
    private interface Plan<T> {
        Change<T> make();
    }

    private Change<RegisteredAdapter> put(RegisteredAdapter adapter) {
        return new Change<>(
                adapter.equals(state.get(adapter.name()))
                        ? List.of()
                        : List.of(new PutAdapter(adapter)),
                adapter);
    }

    private RegisteredAdapter update(String name, UnaryOperator<RegisteredAdapter> update) {
        return change(() -> put(update.apply(get(name))));
    }

    private <T> T change(Plan<T> plan) {
        T result;
        changes.lock();
        try {
            checkOpen();
            Change<T> change = plan.make();
            if (!change.parts.isEmpty()) {
                commit(change.parts);
            }
            result = change.result;
        } finally {
            changes.unlock();
        }
        events.deliver();
        return result;
    }

    private void commit(List<RegistryChange> parts) {
        if (log != null) {
            log.append(ChangeCodec.encode(parts));
        }
        long number = sequence + 1;
        List<RegistryEvent> made = new ArrayList<>();
        for (RegistryChange part : parts) {
            if (part instanceof PutAdapter put) {
                made.add(event(number, put.adapter().name(), Optional.of(put.adapter())));
            } else if (part instanceof RemoveAdapter remove) {
                made.add(event(number, remove.name(), Optional.empty()));
            }
        }
        publish(parts);
        sequence = number;
        made.forEach(events::add);
        if (log != null && log.wantsCompaction()) {
            log.compact(snapshot());
        }
    }

    private RegistryEvent event(long number, String name, Optional<RegisteredAdapter> after) {
        return new RegistryEvent(number, name, Optional.ofNullable(state.get(name)), after);
    }

    private void publish(List<RegistryChange> parts) {
        state.apply(parts);
        for (RegistryChange part : parts) {
            if (part instanceof PutAdapter put) {
                statistics.add(put.adapter().name());
            } else if (part instanceof RemoveAdapter remove) {
                statistics.remove(remove.name());
            }
        }
    }

    /** Returns the whole state as records. */
    private Iterator<byte[]> snapshot() {
        Stream<RegistryChange> adapters = list().stream().map(PutAdapter::new);
        Stream<RegistryChange> aliases =
                aliases().entrySet().stream()
                        .map(entry -> new PutAlias(entry.getKey(), entry.getValue()));
        return Stream.concat(adapters, aliases)
                .map(change -> ChangeCodec.encode(List.of(change)))
                .iterator();
    }

    private RegisteredAdapter own(String name) {
        RegisteredAdapter adapter = state.get(name);
        if (adapter != null) {
            return adapter;
        }
        String target = state.target(name);
        throw target == null
                ? unknown(name)
                : new LoraConfigurationException(
                        Message.quote(name)
                                + " is an alias of "
                                + Message.quote(target)
                                + "; use the adapter's own name here");
    }

    private LoraConfigurationException unknown(String name) {
        Set<String> names = state.names();
        String known =
                names.isEmpty()
                        ? "none is registered"
                        : names.size() <= 3
                                ? "registered are " + shown(names.stream().sorted().toList())
                                : "the nearest of "
                                        + names.size()
                                        + " names are "
                                        + shown(LikelyNames.of(name, names));
        return new LoraConfigurationException(
                "Unknown adapter " + Message.quote(name) + "; " + known);
    }

    private static String shown(List<String> names) {
        return names.stream().map(Message::quote).toList().toString();
    }

    private void checkOpen() {
        if (closed) {
            throw new IllegalStateException("The adapter registry is closed");
        }
    }

    /** Writes the access statistics and gives the directory free. Lookups go on working. */
    @Override
    public void close() {
        changes.lock();
        try {
            if (closed) {
                return;
            }
            if (timer != null) {
                timer.shutdown();
            }
            try {
                saveStatistics();
            } finally {
                closed = true;
                closeLog();
            }
        } finally {
            changes.unlock();
        }
    }

    private void closeLog() {
        if (log != null) {
            try {
                log.close();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }
}
