/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.LoraMemoryException;
import ai.djl.lora.op.AdapterTable;
import ai.djl.lora.op.LoraBackend;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.function.IntSupplier;

/** A real backend on which there is no memory for an adapter at times. */
final class FlakyBackend {

    private FlakyBackend() {}

    /**
     * Returns a backend that fails at times.
     *
     * @param real the backend that does the work
     * @param mood asked before each put: 0 for a table that is full, 1 for a machine that has no
     *     memory left, anything else for none of it
     */
    static LoraBackend of(LoraBackend real, IntSupplier mood) {
        return proxy(
                LoraBackend.class,
                (method, arguments) -> {
                    Object result = call(real, method, arguments);
                    return "newTable".equals(method.getName())
                            ? table((AdapterTable) result, mood)
                            : result;
                });
    }

    private static AdapterTable table(AdapterTable real, IntSupplier mood) {
        return proxy(
                AdapterTable.class,
                (method, arguments) -> {
                    if ("put".equals(method.getName())) {
                        int now = mood.getAsInt();
                        if (now == 0) {
                            throw new LoraMemoryException("injected");
                        }
                        if (now == 1) {
                            throw new OutOfMemoryError("injected");
                        }
                    }
                    return call(real, method, arguments);
                });
    }

    /** What a call of a method does. */
    private interface Handler {
        Object handle(Method method, Object[] arguments) throws Throwable;
    }

    private static <T> T proxy(Class<T> type, Handler handler) {
        return type.cast(
                Proxy.newProxyInstance(
                        type.getClassLoader(),
                        new Class<?>[] {type},
                        (self, method, arguments) -> handler.handle(method, arguments)));
    }

    private static Object call(Object real, Method method, Object[] arguments) throws Throwable {
        try {
            return method.invoke(real, arguments);
        } catch (InvocationTargetException e) {
            throw e.getCause();
        }
    }
}
