/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate;

import ai.djl.Model;
import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.generate.engine.EngineOptions;
import ai.djl.lora.generate.engine.GenerationEngine;
import java.math.BigDecimal;
import java.time.Duration;
import java.util.Map;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.function.IntConsumer;
import java.util.function.LongConsumer;

/**
 * Reads the options of a model's engine from the arguments of its criteria.
 *
 * <p>The names are those of {@link EngineOptions}, in the writing of the model's other arguments;
 * {@code max_rolling_batch_size}, {@code max_rolling_batch_prefill_tokens} and {@code
 * enable_prefix_caching} are what DJL LMI calls three of them. All users of a model share one
 * engine: where arguments are given it is made with them at once, and arguments that differ from
 * those of an engine which is there already are refused.
 */
final class EngineArguments {

    private static final Duration LONGEST = Duration.ofDays(365);

    private final Map<String, ?> arguments;
    private final EngineOptions.Builder options = EngineOptions.builder();
    private boolean given;

    private EngineArguments(Map<String, ?> arguments) {
        this.arguments = arguments;
        number("max_sequences", "max_rolling_batch_size", options::optMaxSequences);
        number(
                "max_tokens_per_step",
                "max_rolling_batch_prefill_tokens",
                options::optMaxTokensPerStep);
        number("max_adapters_per_step", null, options::optMaxAdaptersPerStep);
        number("max_queue", null, options::optMaxQueue);
        number("adapter_lookahead", null, options::optAdapterLookahead);
        number("speculation_sequences", null, options::optSpeculationSequences);
        bytes("kv_bytes", options::optKvBytes);
        bytes("scoring_bytes", options::optScoringBytes);
        flag("prefix_caching", "enable_prefix_caching", options::optPrefixCaching);
        flag("speculation", null, options::optSpeculation);
        seconds("max_wait_seconds", options::optMaxWait);
        seconds("adapter_timeout_seconds", options::optAdapterTimeout);
    }

    /**
     * Makes the engine of a model, if the arguments say anything of it.
     *
     * @param model the model
     * @param arguments the arguments of its criteria
     * @throws LoraConfigurationException if an argument is wrong, or the model has an engine with
     *     other options
     */
    static void apply(Model model, Map<String, ?> arguments) {
        EngineArguments read = new EngineArguments(arguments);
        if (read.given) {
            GenerationEngine.of(
                    TextGenerationTranslator.model(model.getBlock()), read.options.build());
        }
    }

    /** Returns the value of an argument that may have another name, without blanks; or null. */
    private String text(String name, String otherName) {
        Object value = arguments.get(name);
        Object other = otherName == null ? null : arguments.get(otherName);
        if (value != null && other != null && !value.toString().equals(other.toString())) {
            throw new LoraConfigurationException(
                    "the arguments "
                            + name
                            + " and "
                            + otherName
                            + " are "
                            + value
                            + " and "
                            + other
                            + "; they mean the same, give one");
        }
        if (value == null && other == null) {
            return null;
        }
        given = true;
        return Objects.requireNonNullElse(value, other).toString().trim();
    }

    private void number(String name, String otherName, IntConsumer option) {
        String value = text(name, otherName);
        if (value != null) {
            option.accept((int) whole(shown(name, otherName), value, Integer.MAX_VALUE));
        }
    }

    private void bytes(String name, LongConsumer option) {
        String value = text(name, null);
        if (value != null) {
            option.accept(whole(name, value, Long.MAX_VALUE));
        }
    }

    private void seconds(String name, Consumer<Duration> option) {
        String value = text(name, null);
        if (value != null) {
            option.accept(Duration.ofSeconds(whole(name, value, LONGEST.toSeconds())));
        }
    }

    private void flag(String name, String otherName, Consumer<Boolean> option) {
        String value = text(name, otherName);
        if (value == null) {
            return;
        }
        if (!"true".equalsIgnoreCase(value) && !"false".equalsIgnoreCase(value)) {
            throw new LoraConfigurationException(
                    "the argument "
                            + shown(name, otherName)
                            + " is "
                            + value
                            + "; true or false is needed");
        }
        option.accept(Boolean.valueOf(value));
    }

    /** Returns the name that was used. */
    private String shown(String name, String otherName) {
        return arguments.get(name) == null ? otherName : name;
    }

    private static long whole(String name, String value, long most) {
        try {
            long number = new BigDecimal(value).longValueExact();
            if (number >= 1 && number <= most) {
                return number;
            }
        } catch (ArithmeticException | NumberFormatException e) {
            throw new LoraConfigurationException(message(name, value, most), e);
        }
        throw new LoraConfigurationException(message(name, value, most));
    }

    private static String message(String name, String value, long most) {
        return "the argument "
                + name
                + " is "
                + value
                + "; a whole number from 1 to "
                + most
                + " is needed";
    }
}
