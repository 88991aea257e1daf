/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate.jinja;

import ai.djl.lora.translate.jinja.Arguments.Bound;
import ai.djl.lora.translate.jinja.Values.Callable;
import ai.djl.lora.translate.jinja.Values.Namespace;
import java.time.Clock;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The functions that every template may call: Jinja's, and the two that transformers adds. */
final class Functions {

    /** As Jinja's sandbox has it. */
    private static final long MAX_RANGE = 100_000;

    private Functions() {}

    /**
     * Returns the functions by name.
     *
     * @param clock what {@code strftime_now} reads
     * @param budget what pays for lists that are made
     * @return the functions
     */
    static Map<String, Object> all(Clock clock, Budget budget) {
        Map<String, Object> functions = new LinkedHashMap<>();
        functions.put("range", (Callable) args -> range(args, budget));
        functions.put("namespace", (Callable) args -> new Namespace(fields("namespace", args)));
        functions.put("dict", (Callable) args -> fields("dict", args));
        functions.put(
                "raise_exception",
                (Callable)
                        args -> {
                            Object message = args.bind("raise_exception", "message").get(0);
                            throw TemplateException.refusal(Values.text(message));
                        });
        functions.put(
                "strftime_now",
                (Callable)
                        args ->
                                TimeFormat.format(
                                        args.bind("strftime_now", "format").text(0),
                                        ZonedDateTime.now(clock)));
        return functions;
    }

    private static Map<String, Object> fields(String function, Arguments args) {
        Map<String, Object> fields = new LinkedHashMap<>();
        if (args.positional().size() > 1) {
            throw new TemplateException(function + "() takes at most one dictionary");
        }
        for (Object given : args.positional()) {
            if (!(given instanceof Map<?, ?> map)) {
                throw new TemplateException(
                        function + "() takes a dictionary, found a " + Values.type(given));
            }
            map.forEach((key, value) -> fields.put(Values.text(key), value));
        }
        fields.putAll(args.named());
        return fields;
    }

    private static List<Object> range(Arguments args, Budget budget) {
        Bound bound = args.bind("range", "start", "stop", "step");
        boolean one = !bound.has(1);
        long start = one ? 0 : bound.integer(0, 0);
        long stop = bound.integer(one ? 0 : 1, 0);
        long step = bound.integer(2, 1);
        if (step == 0) {
            throw new TemplateException("range() arg 3 must not be zero");
        }
        long count = Math.max(0, (stop - start + step - Long.signum(step)) / step);
        if (count > MAX_RANGE) {
            throw new TemplateException("range() of " + count + ", at most " + MAX_RANGE);
        }
        budget.spend(count);
        List<Object> numbers = new ArrayList<>();
        for (long i = 0; i < count; ++i) {
            numbers.add(start + i * step);
        }
        return numbers;
    }
}
