/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.translate.jinja;

import ai.djl.lora.translate.jinja.Values.Callable;
import ai.djl.lora.translate.jinja.Values.Namespace;
import ai.djl.lora.translate.jinja.Values.Tuple;
import ai.djl.lora.translate.jinja.Values.Undefined;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * Runs the statements of a template once. What a loop, a macro or {@code with} sets is not seen
 * behind it, as in Jinja; an {@code if} is no such place.
 */
final class Renderer {

    /** What a round of a loop costs in steps, for its variables. */
    private static final int ROUND = 10;

    private final Evaluator evaluator;
    private final Budget budget;
    private StringBuilder output = new StringBuilder();
    private int loops;

    /** What ends a round of a loop before its end. */
    private enum End {
        BODY,
        ROUND,
        LOOP
    }

    /**
     * Constructs a new {@code Renderer} instance.
     *
     * @param budget what pays
     */
    Renderer(Budget budget) {
        this.budget = budget;
        this.evaluator = new Evaluator(budget);
    }

    /** Runs statements and returns their text. */
    String render(List<Statement> statements, Scope scope) {
        return capture(statements, scope);
    }

    private String capture(List<Statement> statements, Scope scope) {
        StringBuilder outer = output;
        output = new StringBuilder();
        run(statements, scope);
        String text = output.toString();
        output = outer;
        return text;
    }

    private End run(List<Statement> statements, Scope scope) {
        evaluator.enter();
        End end = End.BODY;
        for (Statement statement : statements) {
            budget.step();
            end = run(statement, scope);
            if (end != End.BODY) {
                break;
            }
        }
        evaluator.leave();
        return end;
    }

    private End run(Statement statement, Scope scope) {
        if (statement instanceof Statement.Text text) {
            append(text.text());
            return End.BODY;
        }
        int line = line(statement);
        try {
            return execute(statement, scope);
        } catch (TemplateException e) {
            throw e.at(line);
        }
    }

    private static int line(Statement statement) {
        if (statement instanceof Statement.Output output) {
            return output.line();
        }
        if (statement instanceof Statement.If condition) {
            return condition.line();
        }
        if (statement instanceof Statement.For loop) {
            return loop.line();
        }
        if (statement instanceof Statement.Set set) {
            return set.line();
        }
        if (statement instanceof Statement.SetBlock set) {
            return set.line();
        }
        if (statement instanceof Statement.FilterBlock block) {
            return block.line();
        }
        return statement instanceof Statement.With with ? with.line() : 0;
    }

    private End execute(Statement statement, Scope scope) {
        if (statement instanceof Statement.Output expression) {
            append(Values.text(evaluator.evaluate(expression.value(), scope)));
        } else if (statement instanceof Statement.If condition) {
            return executeIf(condition, scope);
        } else if (statement instanceof Statement.For loop) {
            return executeFor(loop, scope);
        } else if (statement instanceof Statement.Set set) {
            assign(set.target(), evaluator.evaluate(set.value(), scope), scope);
        } else if (statement instanceof Statement.SetBlock set) {
            String text = capture(set.body(), new Scope(scope));
            assign(set.target(), filter(set.filters(), text, scope), scope);
        } else if (statement instanceof Statement.Macro macro) {
            scope.set(macro.name(), (Callable) arguments -> call(macro, arguments, scope));
        } else if (statement instanceof Statement.FilterBlock block) {
            String text = capture(block.body(), new Scope(scope));
            append(Values.text(filter(block.filters(), text, scope)));
        } else if (statement instanceof Statement.With with) {
            Scope inner = new Scope(scope);
            for (Statement.Set variable : with.variables()) {
                assign(variable.target(), evaluator.evaluate(variable.value(), scope), inner);
            }
            return run(with.body(), inner);
        } else if (statement instanceof Statement.Jump jump) {
            return jump.out() ? End.LOOP : End.ROUND;
        }
        return End.BODY;
    }

    private void append(String text) {
        budget.append(text.length(), (long) output.length() + text.length());
        output.append(text);
    }

    private Object filter(List<Expression.Filtered> filters, String text, Scope scope) {
        Object value = text;
        for (Expression.Filtered filter : filters) {
            value = evaluator.filter(filter, value, scope);
        }
        return value;
    }

    private End executeIf(Statement.If statement, Scope scope) {
        for (Statement.Branch branch : statement.branches()) {
            if (Values.isTrue(evaluator.evaluate(branch.condition(), scope))) {
                return run(branch.body(), scope);
            }
        }
        return run(statement.otherwise(), scope);
    }

    private End executeFor(Statement.For statement, Scope scope) {
        Object through = evaluator.evaluate(statement.items(), scope);
        List<?> items = evaluator.access().iterate(through);
        if (statement.condition() != null) {
            List<Object> chosen = new ArrayList<>();
            for (Object item : items) {
                Scope inner = new Scope(scope);
                assign(statement.targets(), item, inner);
                if (Values.isTrue(evaluator.evaluate(statement.condition(), inner))) {
                    chosen.add(item);
                }
            }
            items = chosen;
        }
        Loop loop = new Loop(items, loops++);
        boolean completed = false;
        for (int i = 0; i < items.size(); ++i) {
            budget.spend(ROUND);
            loop.moveTo(i);
            Scope inner = new Scope(scope);
            inner.set("loop", loop);
            assign(statement.targets(), items.get(i), inner);
            End end = run(statement.body(), inner);
            completed |= end == End.BODY;
            if (end == End.LOOP) {
                break;
            }
        }
        --loops;
        // Jinja takes else also where every round was left by continue or break
        return completed ? End.BODY : run(statement.otherwise(), scope);
    }

    private void assign(Statement.Target target, Object value, Scope scope) {
        if (target instanceof Statement.Target.Variable variable) {
            scope.set(variable.name(), value);
        } else if (target instanceof Statement.Target.Field field) {
            if (!(scope.get(field.namespace()) instanceof Namespace namespace)) {
                throw new TemplateException("cannot assign attribute on non-namespace object");
            }
            namespace.fields().put(field.name(), value);
        } else {
            List<Statement.Target> targets = ((Statement.Target.Several) target).targets();
            List<?> values = evaluator.access().iterate(value);
            if (values.size() != targets.size()) {
                throw new TemplateException(
                        "cannot unpack " + values.size() + " values into " + targets.size());
            }
            for (int i = 0; i < targets.size(); ++i) {
                assign(targets.get(i), values.get(i), scope);
            }
        }
    }

    private String call(Statement.Macro macro, Arguments arguments, Scope scope) {
        String[] names =
                macro.parameters().stream().map(Statement.Parameter::name).toArray(String[]::new);
        Arguments.Bound bound = arguments.bind(macro.name(), names);
        Scope inner = new Scope(scope);
        for (int i = 0; i < names.length; ++i) {
            Expression standard = macro.parameters().get(i).value();
            Object value;
            if (bound.has(i)) {
                value = bound.get(i);
            } else if (standard == null) {
                value = new Undefined("parameter '" + names[i] + "' was not provided");
            } else {
                value = evaluator.evaluate(standard, inner);
            }
            inner.set(names[i], value);
        }
        return capture(macro.body(), inner);
    }

    /** Returns a value that templates know for one that Java's JSON has. */
    static Object toValue(Object value, int depth) {
        Values.requireDepth(depth);
        if (value instanceof Map<?, ?> map) {
            Map<Object, Object> copy = new java.util.LinkedHashMap<>();
            map.forEach((key, item) -> copy.put(toValue(key, depth + 1), toValue(item, depth + 1)));
            return copy;
        }
        if (value instanceof List<?> list) {
            List<Object> copy = new ArrayList<>(list.size());
            list.forEach(item -> copy.add(toValue(item, depth + 1)));
            return copy;
        }
        if (value instanceof Tuple tuple) {
            return new Tuple(Arrays.asList(tuple.items().toArray()));
        }
        if (value instanceof Float || value instanceof Double) {
            return ((Number) value).doubleValue();
        }
        if (value instanceof Number number) {
            return Numbers.integer(new java.math.BigInteger(number.toString()));
        }
        if (value == null || value instanceof String || value instanceof Boolean) {
            return value;
        }
        throw new IllegalArgumentException(
                "a template cannot use a "
                        + value.getClass().getName()
                        + "; values are null, Boolean, Number, String, List and Map");
    }
}
