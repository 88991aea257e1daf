/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.lora.LoraAdapterNotFoundException;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.LoraException;
import ai.djl.lora.LoraOffloadException;
import ai.djl.lora.cache.AdapterSettings;
import ai.djl.lora.cache.AdapterState;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.registry.RegisteredAdapter;
import ai.djl.modality.Input;
import ai.djl.modality.Output;
import ai.djl.ndarray.BytesSupplier;
import ai.djl.util.Pair;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.net.URI;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletionException;

/**
 * Answers the inputs by which DJL Serving manages adapters: those with a property {@code handler}.
 *
 * <p>{@code register_adapter}, {@code update_adapter} and {@code unregister_adapter} have the
 * properties {@code name}, {@code alias} and {@code src}, as DJL Serving's own for Python models
 * have; {@code preload} and {@code pin} are contents, or properties. {@code list_adapters} and
 * {@code describe_adapter} are the project's own. The answer's code is 200, or one that says what
 * was wrong: 400 the input, 404 there is no such adapter, 409 the name is another's, 424 the
 * adapter itself. A server sends a registered adapter again to each worker that it starts, so
 * registering what is there already from the same place succeeds.
 *
 * <p>The server refuses requests that bring a {@code handler} of their own.
 */
final class AdapterJobs {

    private static final String HANDLER = "handler";
    private static final String NAME = "name";
    private static final String SRC = "src";
    private static final String PIN = "pin";
    private static final String PRELOAD = "preload";
    private static final String ALIAS = "alias";
    private static final Set<String> KNOWN = new TreeSet<>(Set.of(NAME, ALIAS, SRC, PIN, PRELOAD));
    private static final String STATUS = "status";

    private static final int CONFLICT = 409;
    private static final int NOT_FOUND = 404;

    private final AdapterStore store;

    /**
     * Constructs a new {@code AdapterJobs} instance.
     *
     * @param store the model's adapters
     */
    AdapterJobs(AdapterStore store) {
        this.store = store;
    }

    /** Returns whether an input is about adapters and no request. */
    static boolean isJob(Input input) {
        return input.getProperty(HANDLER, null) != null;
    }

    /**
     * Does what an input asks for.
     *
     * @param input an input with a handler
     * @return the answer, also where it could not be done
     */
    Output run(Input input) {
        try {
            String handler = input.getProperty(HANDLER, "");
            return switch (handler) {
                case "register_adapter" -> register(input);
                case "update_adapter" -> update(input);
                case "unregister_adapter" -> unregister(input);
                case "list_adapters" -> list();
                case "describe_adapter" -> describe(input);
                default ->
                        throw new LoraConfigurationException(
                                "the handler is "
                                        + handler
                                        + "; allowed are register_adapter, update_adapter,"
                                        + " unregister_adapter, list_adapters and"
                                        + " describe_adapter");
            };
        } catch (LoraAdapterNotFoundException e) {
            return AnswerJson.error(NOT_FOUND, "AdapterNotFoundException", e.getMessage());
        } catch (LoraException e) {
            return AnswerJson.badRequest(e, false);
        }
    }

    private Output register(Input input) {
        requireKnown(input);
        String name = required(input, NAME);
        Path source = source(required(input, SRC));
        boolean preload = flag(input, PRELOAD, true);
        boolean pin = flag(input, PIN, false);
        boolean there = store.names().contains(name);
        if (there && !source.equals(current(name).current().source())) {
            return AnswerJson.error(
                    CONFLICT,
                    "AdapterExistsException",
                    "The adapter " + name + " is registered already; unregister or update it");
        }
        if (!there) {
            AdapterSettings settings =
                    AdapterSettings.builder().optPinned(pin).optMetadata(notes(preload)).build();
            try {
                store.register(name, source, settings);
            } catch (LoraException e) {
                return AnswerJson.failedDependency(e);
            }
        } else {
            store.setPinned(name, pin);
        }
        try {
            alias(name, input.getProperty(ALIAS, null));
            load(name, preload);
        } catch (LoraException e) {
            if (!there) {
                remove(name);
            }
            return AnswerJson.failedDependency(e);
        }
        return done("Adapter " + name + " registered");
    }

    private Output update(Input input) {
        requireKnown(input);
        String name = required(input, NAME);
        RegisteredAdapter known = current(name);
        String src = input.getProperty(SRC, null);
        boolean preload = flag(input, PRELOAD, isPreloaded(known));
        boolean pin = flag(input, PIN, known.pinned());
        try {
            // a source that the caller gave is read again, also where it is the same
            if (src != null
                    && (input.getContent().contains(SRC)
                            || !source(src).equals(known.current().source()))) {
                store.replace(
                        known.name(),
                        source(src),
                        AdapterSettings.builder().optMetadata(notes(preload)).build());
            }
            if (pin != known.pinned()) {
                store.setPinned(known.name(), pin);
            }
            alias(known.name(), input.getProperty(ALIAS, null));
            if (pin || flag(input, PRELOAD, false)) {
                load(known.name(), true);
            }
        } catch (LoraAdapterNotFoundException e) {
            throw e;
        } catch (LoraException e) {
            return AnswerJson.failedDependency(e);
        }
        return done("Adapter " + name + " updated");
    }

    private Output unregister(Input input) {
        String name = required(input, NAME);
        remove(current(name).name());
        return done("Adapter " + name + " unregistered");
    }

    private void remove(String name) {
        for (Map.Entry<String, String> alias : store.getRegistry().aliases().entrySet()) {
            if (alias.getValue().equals(name)) {
                store.unalias(alias.getKey());
            }
        }
        store.unregister(name);
    }

    /* An alias that SageMaker's user gave leads to the name that SageMaker gave. */
    private void alias(String name, String alias) {
        if (alias == null || alias.isBlank() || alias.equals(name)) {
            return;
        }
        if (!name.equals(store.getRegistry().aliases().get(alias))) {
            store.alias(alias, name);
        }
    }

    private void load(String name, boolean wanted) {
        if (!wanted) {
            return;
        }
        try {
            store.preload(List.of(name)).join();
        } catch (CompletionException e) {
            throw e.getCause() instanceof LoraException known
                    ? known
                    : new LoraOffloadException(
                            "Adapter \"" + name + "\" cannot be loaded: " + e.getCause(), e);
        }
    }

    private Output list() {
        JsonArray adapters = new JsonArray();
        store.names().forEach(name -> adapters.add(describe(name)));
        JsonObject body = new JsonObject();
        body.add("adapters", adapters);
        return AnswerJson.output(body);
    }

    private Output describe(Input input) {
        return AnswerJson.output(describe(current(required(input, NAME)).name()));
    }

    private JsonObject describe(String name) {
        RegisteredAdapter adapter = current(name);
        AdapterState state = store.state(name);
        JsonObject answer = new JsonObject();
        answer.addProperty(NAME, name);
        answer.addProperty(SRC, adapter.current().source().toString());
        answer.addProperty(PRELOAD, isPreloaded(adapter));
        answer.addProperty(PIN, state.pinned());
        JsonArray aliases = new JsonArray();
        store.getRegistry()
                .aliases()
                .forEach(
                        (alias, target) -> {
                            if (target.equals(name)) {
                                aliases.add(alias);
                            }
                        });
        answer.add("aliases", aliases);
        answer.addProperty("revision", state.revision());
        answer.addProperty("place", state.place().name().toLowerCase(Locale.ROOT));
        answer.addProperty("bytes", state.bytes());
        state.failure().ifPresent(failure -> answer.addProperty("failure", failure));
        return answer;
    }

    private RegisteredAdapter current(String name) {
        // refuses what is not there
        String own = store.partsOf(name).get(0);
        return store.getRegistry().get(own);
    }

    private static boolean isPreloaded(RegisteredAdapter adapter) {
        return !"false".equals(adapter.current().metadata().get(PRELOAD));
    }

    private static Map<String, String> notes(boolean preload) {
        return preload ? Map.of() : Map.of(PRELOAD, "false");
    }

    private static Output done(String message) {
        JsonObject body = new JsonObject();
        body.addProperty(STATUS, message);
        Output output = AnswerJson.output(body);
        output.setMessage(message);
        return output;
    }

    private static void requireKnown(Input input) {
        for (Pair<String, BytesSupplier> content : input.getContent()) {
            if (!KNOWN.contains(String.valueOf(content.getKey()))) {
                throw new LoraConfigurationException(
                        "the parameter " + content.getKey() + " is not known; known are " + KNOWN);
            }
        }
    }

    private static String required(Input input, String key) {
        String value = input.getProperty(key, null);
        if (value == null || value.isBlank()) {
            throw new LoraConfigurationException(key + " is missing");
        }
        return value;
    }

    private static boolean flag(Input input, String key, boolean otherwise) {
        String value = input.getProperty(key, input.getAsString(key));
        if (value == null) {
            return otherwise;
        }
        return switch (value) {
            case "true" -> true;
            case "false" -> false;
            default ->
                    throw new LoraConfigurationException(
                            key + " is " + value + "; true or false is needed");
        };
    }

    /** Returns the place that a path or a {@code file:} URI names. */
    private static Path source(String src) {
        try {
            URI uri = src.startsWith("file:") ? URI.create(src) : null;
            String path = uri == null ? src : uri.getPath();
            if (path == null || src.matches("[A-Za-z][A-Za-z0-9+.-]+://.*") && uri == null) {
                throw new LoraConfigurationException(
                        "src is " + src + "; a path or a file: URI is needed");
            }
            return Path.of(path).toAbsolutePath().normalize();
        } catch (InvalidPathException e) {
            throw new LoraConfigurationException("src is no path: " + e.getMessage(), e);
        } catch (IllegalArgumentException e) {
            throw new LoraConfigurationException("src is no URI: " + e.getMessage(), e);
        }
    }
}
