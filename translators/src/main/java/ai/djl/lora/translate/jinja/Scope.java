/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate.jinja;

import java.util.HashMap;
import java.util.Map;

/** Variables, and behind them those of the place around. */
final class Scope {

    private final Scope outer;
    private final Map<String, Object> variables = new HashMap<>();

    /**
     * Constructs a new {@code Scope} instance.
     *
     * @param outer the place around; null for none
     */
    Scope(Scope outer) {
        this.outer = outer;
    }

    void set(String name, Object value) {
        variables.put(name, value);
    }

    Object get(String name) {
        for (Scope scope = this; scope != null; scope = scope.outer) {
            if (scope.variables.containsKey(name)) {
                return scope.variables.get(name);
            }
        }
        return new Values.Undefined("'" + name + "' is undefined");
    }
}
