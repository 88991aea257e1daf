/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.serving;

import java.lang.reflect.Constructor;
import java.lang.reflect.Executable;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.TreeSet;
import java.util.stream.Collectors;

/**
 * Writes down what other code can see of classes, one line for each class and each member that is
 * public or protected.
 *
 * <p>Run on the class path of a DJL Serving, with the names of classes, its {@code main} prints the
 * list that the declarations are compared with.
 */
final class Signatures {

    private Signatures() {}

    public static void main(String[] names) throws ClassNotFoundException {
        for (String name : names) {
            of(Class.forName(name, false, Signatures.class.getClassLoader()))
                    .forEach(System.out::println);
        }
    }

    /** Returns a class's own line, and after it those of its members. */
    static List<String> of(Class<?> type) {
        String owner = type.getName();
        List<String> lines = new ArrayList<>();
        lines.add(owner + ": " + declaration(type));
        TreeSet<String> members = new TreeSet<>();
        for (Field field : type.getDeclaredFields()) {
            if (isVisible(field.getModifiers(), field.isSynthetic())) {
                members.add(owner + "  " + field.toGenericString());
            }
        }
        for (Constructor<?> constructor : type.getDeclaredConstructors()) {
            if (isVisible(constructor.getModifiers(), constructor.isSynthetic())) {
                members.add(owner + "  " + text(constructor));
            }
        }
        for (Method method : type.getDeclaredMethods()) {
            if (isVisible(method.getModifiers(), method.isSynthetic())) {
                members.add(owner + "  " + text(method));
            }
        }
        lines.addAll(members);
        return lines;
    }

    private static boolean isVisible(int modifiers, boolean synthetic) {
        return !synthetic && (Modifier.isPublic(modifiers) || Modifier.isProtected(modifiers));
    }

    /* What a method throws is left out: it binds those who call it, and no class file. */
    private static String text(Executable executable) {
        return executable.toGenericString().replaceFirst(" throws .*", "");
    }

    private static String declaration(Class<?> type) {
        Type parent = type.getGenericSuperclass();
        String parents =
                Arrays.stream(type.getGenericInterfaces())
                        .map(Type::getTypeName)
                        .sorted()
                        .collect(Collectors.joining(", "));
        return type.toGenericString()
                + (parent == null ? "" : " extends " + parent.getTypeName())
                + (parents.isEmpty() ? "" : " implements " + parents);
    }
}
