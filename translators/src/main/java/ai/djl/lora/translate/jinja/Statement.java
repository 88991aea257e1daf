/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate.jinja;

import java.util.List;

/** A statement of a template, or the text between statements. */
sealed interface Statement {

    /** Text as it is. */
    record Text(String text) implements Statement {}

    /** {@code {{ value }}} */
    record Output(int line, Expression value) implements Statement {}

    /** {@code {% if %}}; the conditions in order, each with what it guards. */
    record If(int line, List<Branch> branches, List<Statement> otherwise) implements Statement {}

    /** One condition of an {@link If}. */
    record Branch(Expression condition, List<Statement> body) {}

    /** {@code {% for targets in items if condition %}}; the condition may be null. */
    record For(
            int line,
            Target targets,
            Expression items,
            Expression condition,
            List<Statement> body,
            List<Statement> otherwise)
            implements Statement {}

    /** {@code {% set target = value %}} */
    record Set(int line, Target target, Expression value) implements Statement {}

    /** {@code {% set name %}...{% endset %}} with the filters of the text, the text itself null. */
    record SetBlock(
            int line, Target target, List<Expression.Filtered> filters, List<Statement> body)
            implements Statement {}

    /** {@code {% macro name(parameters) %}} */
    record Macro(int line, String name, List<Parameter> parameters, List<Statement> body)
            implements Statement {}

    /** A macro's parameter; its default may be null. */
    record Parameter(String name, Expression value) {}

    /** {@code {% filter name %}...{% endfilter %}} */
    record FilterBlock(int line, List<Expression.Filtered> filters, List<Statement> body)
            implements Statement {}

    /** {@code {% with a = b %}...{% endwith %}}, also {@code {% generation %}}. */
    record With(int line, List<Set> variables, List<Statement> body) implements Statement {}

    /** {@code {% break %}} or {@code {% continue %}} */
    record Jump(int line, boolean out) implements Statement {}

    /** What is assigned to. */
    sealed interface Target {

        /** A variable. */
        record Variable(String name) implements Target {}

        /** {@code namespace.name} */
        record Field(String namespace, String name) implements Target {}

        /** Several at once. */
        record Several(List<Target> targets) implements Target {}
    }
}
