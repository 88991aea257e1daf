/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate.jinja;

import java.util.List;
import java.util.Map;

/**
 * What a function, filter or test is called with.
 *
 * @param positional the arguments without names
 * @param named the arguments with names
 */
record Arguments(List<Object> positional, Map<String, Object> named) {

    static final Arguments NONE = new Arguments(List.of(), Map.of());

    /**
     * Returns the arguments in the order of a function's parameters.
     *
     * @param function the function's name, for messages
     * @param parameters the names of its parameters
     * @return one value for each; that of one that is not given is {@link #isGiven not given}
     */
    Bound bind(String function, String... parameters) {
        if (positional.size() > parameters.length) {
            throw new TemplateException(
                    function
                            + "() takes at most "
                            + parameters.length
                            + " arguments, found "
                            + positional.size());
        }
        Object[] values = new Object[parameters.length];
        boolean[] given = new boolean[parameters.length];
        for (int i = 0; i < positional.size(); ++i) {
            values[i] = positional.get(i);
            given[i] = true;
        }
        for (Map.Entry<String, Object> entry : named.entrySet()) {
            int index = List.of(parameters).indexOf(entry.getKey());
            if (index < 0 || given[index]) {
                throw new TemplateException(
                        function
                                + "() got "
                                + (index < 0 ? "an unexpected" : "a second")
                                + " argument '"
                                + entry.getKey()
                                + "'");
            }
            values[index] = entry.getValue();
            given[index] = true;
        }
        return new Bound(function, parameters, values, given);
    }

    /** Returns the arguments without the first of those without names. */
    Arguments rest() {
        return new Arguments(positional.subList(1, positional.size()), named);
    }

    /** Arguments by parameter. */
    record Bound(String function, String[] parameters, Object[] values, boolean[] given) {

        boolean has(int index) {
            return given[index];
        }

        Object get(int index) {
            if (!given[index]) {
                throw new TemplateException(
                        function + "() needs the argument '" + parameters[index] + "'");
            }
            return values[index];
        }

        Object get(int index, Object defaultValue) {
            return given[index] ? values[index] : defaultValue;
        }

        String text(int index) {
            if (get(index) instanceof String text) {
                return text;
            }
            throw wrong(index, "a text");
        }

        String text(int index, String defaultValue) {
            return given[index] ? text(index) : defaultValue;
        }

        boolean truth(int index) {
            return given[index] && Values.isTrue(values[index]);
        }

        int integer(int index, int defaultValue) {
            if (!given[index]) {
                return defaultValue;
            }
            if (values[index] instanceof Long number && number == number.intValue()) {
                return number.intValue();
            }
            throw wrong(index, "a whole number");
        }

        private TemplateException wrong(int index, String needed) {
            return new TemplateException(
                    function
                            + "(): the argument '"
                            + parameters[index]
                            + "' is a "
                            + Values.type(values[index])
                            + ", "
                            + needed
                            + " is needed");
        }
    }
}
