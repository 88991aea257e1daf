/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.nn;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.cache.StoreOptions;
import ai.djl.lora.cache.TierOptions;
import ai.djl.lora.config.Residency;
import ai.djl.lora.config.ResidencyConfig;
import ai.djl.lora.json.Message;
import ai.djl.lora.op.AdapterType;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.registry.AdapterRegistry;
import ai.djl.lora.registry.RegisteredAdapter;
import ai.djl.lora.registry.RegistryOptions;
import java.io.IOException;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.stream.Stream;

/**
 * What the arguments of a model say of its adapters.
 *
 * <p>{@code enable_lora}, {@code max_loras}, {@code max_lora_rank}, {@code max_cpu_loras} and
 * {@code lora_dtype} are the names of DJL Serving's LMI and of vLLM. A {@code serving.properties}
 * may have them with {@code option.} before them, as LMI does; DJL hands such options to the
 * loading of weights alone, and so they are read from the file here.
 */
final class AdapterArguments {

    private static final String FILE = "serving.properties";
    private static final String OPTION = "option.";

    /** The folder inside a model's folder whose folders are adapters. */
    private static final String FOLDER = "adapters";

    private final Path modelPath;
    private final Map<String, ?> arguments;
    private final Properties options;
    private Residency residency;

    /**
     * Constructs a new {@code AdapterArguments} instance.
     *
     * @param modelPath the model's folder
     * @param arguments the arguments of the Criteria
     * @throws IOException if the model's serving.properties cannot be read
     */
    AdapterArguments(Path modelPath, Map<String, ?> arguments) throws IOException {
        this.modelPath = modelPath;
        this.arguments = arguments == null ? Map.of() : arguments;
        this.options = new Properties();
        Path file = modelPath.resolve(FILE);
        if (Files.isRegularFile(file)) {
            try (Reader reader = Files.newBufferedReader(file)) {
                options.load(reader);
            }
        }
    }

    /** Sets how resident adapters are held. */
    void applyType(LoraContext context) {
        Optional<String> type = argument(LoraBlockFactory.ADAPTER_DTYPE);
        Optional<String> lora = value(LoraBlockFactory.LORA_DTYPE);
        if (type.isPresent() && lora.isPresent()) {
            throw new LoraConfigurationException(
                    "Arguments adapter_dtype and lora_dtype are both given; they mean the same,"
                            + " give one");
        }
        type.map(AdapterType::ofLabel).ifPresent(context::setAdapterType);
        lora.map(name -> loraType(name, context)).ifPresent(context::setAdapterType);
    }

    private static AdapterType loraType(String name, LoraContext context) {
        String model = context.getType().label();
        if (name.equals(LoraBlockFactory.AUTO) || name.equals(model)) {
            return AdapterType.MODEL;
        }
        if (name.equals(AdapterType.INT8.label())) {
            return AdapterType.INT8;
        }
        throw new LoraConfigurationException(
                "Argument lora_dtype is "
                        + Message.quote(name)
                        + "; adapters are held in the model's type, so allowed are auto, "
                        + model
                        + " and int8");
    }

    /** Opens the store that the model's adapters are in. */
    AdapterStore open(LoraContext context) {
        Optional<String> file = argument(LoraBlockFactory.RESIDENCY);
        if (file.isPresent()) {
            for (String name :
                    List.of(
                            LoraBlockFactory.MAX_LORAS,
                            LoraBlockFactory.MAX_CPU_LORAS,
                            LoraBlockFactory.MAX_LORA_RANK,
                            LoraBlockFactory.ADAPTER_REGISTRY)) {
                if (value(name).isPresent()) {
                    throw new LoraConfigurationException(
                            "Arguments residency and "
                                    + name
                                    + " are both given; with a residency file that is said there");
                }
            }
            residency = residency(file.get()).open(context);
            return residency.getStore();
        }
        StoreOptions.Builder builder = StoreOptions.builder();
        number(LoraBlockFactory.MAX_LORAS)
                .ifPresent(count -> builder.optDevice(TierOptions.of(count)));
        number(LoraBlockFactory.MAX_CPU_LORAS)
                .ifPresent(count -> builder.optHost(TierOptions.of(count)));
        number(LoraBlockFactory.MAX_LORA_RANK).ifPresent(builder::optMaxRank);
        Optional<String> registry = value(LoraBlockFactory.ADAPTER_REGISTRY);
        return registry.isEmpty()
                ? new AdapterStore(context, builder.build())
                : open(context, builder.build(), modelPath.resolve(registry.get()));
    }

    private static AdapterStore open(LoraContext context, StoreOptions options, Path directory) {
        AdapterRegistry registry =
                AdapterRegistry.open(directory, RegistryOptions.builder().build());
        // what is added last ends first: the store, then its registry
        context.addEnding(registry::close);
        return new AdapterStore(context, options, registry);
    }

    /* A file of its own, or a section of another one. */
    private static ResidencyConfig residency(String place) {
        int section = place.lastIndexOf('#');
        Path file = Path.of(place);
        if (section < 0 || Files.exists(file)) {
            return ResidencyConfig.read(file);
        }
        return ResidencyConfig.read(
                Path.of(place.substring(0, section)), place.substring(section + 1));
    }

    /** Registers the adapters that the arguments and the model's folder name. */
    void register(AdapterStore store) throws IOException {
        if (residency != null) {
            residency.start();
        }
        Map<String, Path> named = new LinkedHashMap<>();
        for (Map.Entry<String, Path> adapter : listed()) {
            if (named.put(adapter.getKey(), adapter.getValue()) != null) {
                throw new LoraConfigurationException(
                        "Argument adapters names " + Message.quote(adapter.getKey()) + " twice");
            }
        }
        for (Path folder : inModel()) {
            String name = String.valueOf(folder.getFileName());
            if (named.put(name, folder) != null) {
                throw new LoraConfigurationException(
                        "Argument adapters names "
                                + Message.quote(name)
                                + ", which is in the model's folder "
                                + FOLDER
                                + " as well");
            }
        }
        boolean enabled = flag(LoraBlockFactory.ENABLE_LORA).orElse(true);
        if (!enabled && !named.isEmpty()) {
            throw new LoraConfigurationException(
                    "Argument adapters names adapters, and enable_lora is false");
        }
        named.forEach((name, source) -> register(store, name, source));
    }

    /* What is on record from the same place is not read again; another place goes before it. */
    private static void register(AdapterStore store, String name, Path source) {
        Path place = source.toAbsolutePath().normalize();
        Optional<RegisteredAdapter> known =
                store.getRegistry().find(name).filter(adapter -> !adapter.retired());
        if (known.isEmpty()) {
            store.register(name, place);
        } else if (!known.get().current().source().equals(place)) {
            store.replace(name, place);
        }
    }

    private List<Map.Entry<String, Path>> listed() {
        List<Map.Entry<String, Path>> adapters = new ArrayList<>();
        for (String entry : argument(LoraBlockFactory.ADAPTERS).orElse("").split(",")) {
            if (entry.isBlank()) {
                continue;
            }
            int equals = entry.indexOf('=');
            if (equals < 1) {
                throw new LoraConfigurationException(
                        "Argument adapters has the entry \""
                                + entry
                                + "\"; expected name=directory,name=directory");
            }
            adapters.add(
                    Map.entry(
                            entry.substring(0, equals).trim(),
                            Path.of(entry.substring(equals + 1).trim())));
        }
        return adapters;
    }

    private List<Path> inModel() throws IOException {
        Path folder = modelPath.resolve(FOLDER);
        if (!flag(LoraBlockFactory.ENABLE_LORA).orElse(false) || !Files.isDirectory(folder)) {
            return List.of();
        }
        List<Path> adapters = new ArrayList<>();
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.sorted().toList()) {
                if (String.valueOf(file.getFileName()).startsWith(".")) {
                    continue;
                }
                if (!Files.isDirectory(file)) {
                    throw new LoraConfigurationException(
                            Message.oneLine(file.toString())
                                    + ": the model's folder "
                                    + FOLDER
                                    + " holds one folder for each adapter, and nothing else");
                }
                adapters.add(file);
            }
        }
        return adapters;
    }

    private Optional<Integer> number(String name) {
        return value(name)
                .map(
                        text -> {
                            try {
                                int number = Integer.parseInt(text);
                                if (number > 0) {
                                    return number;
                                }
                            } catch (NumberFormatException e) {
                                throw notPositive(name, text, e);
                            }
                            throw notPositive(name, text, null);
                        });
    }

    private static LoraConfigurationException notPositive(
            String name, String text, Throwable cause) {
        return new LoraConfigurationException(
                "Argument " + name + " is " + Message.quote(text) + "; it must be 1 or more",
                cause);
    }

    private Optional<Boolean> flag(String name) {
        return value(name)
                .map(
                        text ->
                                switch (text) {
                                    case "true" -> true;
                                    case "false" -> false;
                                    default ->
                                            throw new LoraConfigurationException(
                                                    "Argument "
                                                            + name
                                                            + " is "
                                                            + Message.quote(text)
                                                            + "; it must be true or false");
                                });
    }

    /** Returns an argument, or the option of that name in serving.properties. */
    private Optional<String> value(String name) {
        Optional<String> argument = argument(name);
        Optional<String> option =
                Optional.ofNullable(options.getProperty(OPTION + name)).map(String::trim);
        if (argument.isPresent() && option.isPresent() && !argument.equals(option)) {
            throw new LoraConfigurationException(
                    "Argument "
                            + name
                            + " is "
                            + Message.quote(argument.get())
                            + ", and "
                            + OPTION
                            + name
                            + " in "
                            + FILE
                            + " is "
                            + Message.quote(option.get()));
        }
        return argument.or(() -> option);
    }

    private Optional<String> argument(String name) {
        return Optional.<Object>ofNullable(arguments.get(name)).map(Object::toString);
    }
}
