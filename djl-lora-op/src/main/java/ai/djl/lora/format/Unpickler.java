/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/**
 * Reads a pickle that describes tensors, and nothing else.
 *
 * <p>A pickle is a program for a machine with a stack (Python's {@code Lib/pickletools.py}
 * describes its instructions). Python's own machine imports and calls what the program names, so
 * that whoever wrote the file runs code on the machine that reads it. This one knows plain values,
 * dicts, and the calls with which {@code torch.save} describes tensors; anything else ends the
 * reading, by its name. Nothing is ever looked up by a name in the file. Of the instructions only
 * those are known that Python 3 writes of such values, from protocol 1 on.
 *
 * <p>Values are bounded in number, so that a program of a few bytes cannot fill the memory.
 */
final class Unpickler {

    /** How many values a pickle may make: a tensor takes about a dozen. */
    private static final int MAX_VALUES = 1 << 22;

    private static final int MAX_STACK = 1 << 20;
    private static final int MAX_TEXT = 1 << 16;
    private static final int MAX_NAME = 256;
    private static final int MAX_DIGITS = 64;

    private final DataChannel file;
    private final ByteReader in;
    private final Function<PickleValue.Tuple, PickleValue> persistent;
    private final List<PickleValue> stack = new ArrayList<>();
    private final List<Integer> marks = new ArrayList<>();
    private final Map<Long, PickleValue> memo = new HashMap<>();
    private int made;

    /**
     * Constructs a new {@code Unpickler} instance.
     *
     * @param file the file, for messages
     * @param in the pickle
     * @param persistent makes a storage of what the pickle says of one
     */
    Unpickler(
            DataChannel file, ByteReader in, Function<PickleValue.Tuple, PickleValue> persistent) {
        this.file = file;
        this.in = in;
        this.persistent = persistent;
    }

    /**
     * Reads one pickle.
     *
     * @return what it describes
     * @throws LoraConfigurationException if it is not a pickle of tensors
     */
    PickleValue load() {
        int code = in.u8();
        while (code != '.') {
            step(code);
            if (stack.size() > MAX_STACK) {
                throw file.fail("the pickle's stack holds more than " + MAX_STACK + " values");
            }
            code = in.u8();
        }
        PickleValue result = pop();
        if (!stack.isEmpty() || !marks.isEmpty()) {
            throw file.fail("the pickle ends with " + stack.size() + " values left over");
        }
        return result;
    }

    private void step(int code) {
        switch (code) {
            case 0x80 -> protocol();
            case 0x95 -> in.i64();
            case '(' -> {
                if (marks.size() >= MAX_STACK) {
                    throw file.fail("the pickle's stack holds more than " + MAX_STACK + " marks");
                }
                marks.add(stack.size());
            }
            case '0' -> pop();
            case '1' -> popMark();
            case 'N' -> push(PickleValue.None.NONE);
            case 0x88 -> push(new PickleValue.Bool(true));
            case 0x89 -> push(new PickleValue.Bool(false));
            case 'J' -> push(new PickleValue.Whole(in.i32()));
            case 'K' -> push(new PickleValue.Whole(in.u8()));
            case 'M' -> push(new PickleValue.Whole(in.u16()));
            case 'I', 'L' -> push(textNumber(code == 'I'));
            case 0x8a -> push(whole(in.u8()));
            case 0x8b -> push(whole(in.u32()));
            case 'G' ->
                    push(
                            new PickleValue.Real(
                                    Double.longBitsToDouble(Long.reverseBytes(in.i64()))));
            case 'X' -> push(text(in.u32()));
            case 0x8c -> push(text(in.u8()));
            case 0x8d -> push(text(in.i64()));
            case ')' -> push(new PickleValue.Tuple(List.of()));
            case 't' -> push(new PickleValue.Tuple(popMark()));
            case 0x85 -> push(tuple(1));
            case 0x86 -> push(tuple(2));
            case 0x87 -> push(tuple(3));
            case ']' -> push(new PickleValue.Items(new ArrayList<>()));
            case 'a' -> {
                PickleValue item = pop();
                list().add(item);
            }
            case 'e' -> {
                List<PickleValue> items = popMark();
                list().addAll(items);
            }
            case '}' -> push(new PickleValue.Dict(false));
            case 's' -> {
                PickleValue value = pop();
                PickleValue key = pop();
                putAll(dict(), List.of(key, value));
            }
            case 'u' -> {
                List<PickleValue> items = popMark();
                putAll(dict(), items);
            }
            case 'q' -> memo.put((long) in.u8(), counted(top()));
            case 'r' -> memo.put(in.u32(), counted(top()));
            case 0x94 -> memo.put((long) memo.size(), counted(top()));
            case 'h' -> stack.add(remembered(in.u8()));
            case 'j' -> stack.add(remembered(in.u32()));
            case 'c' -> {
                String module = in.line(MAX_NAME, "a name");
                push(name(module, in.line(MAX_NAME, "a name")));
            }
            case 0x93 -> stackName();
            case 'Q' -> push(persistentValue(pop()));
            case 'R' -> reduce();
            case 'b' -> build();
            default ->
                    throw file.fail(
                            "the pickle holds the instruction "
                                    + instruction(code)
                                    + " at byte "
                                    + (in.position() - 1)
                                    + ", which is none of those that describe tensors");
        }
    }

    private void protocol() {
        int version = in.u8();
        if (version > 5) {
            throw file.fail("the pickle's protocol is " + version + ", allowed are 0 to 5");
        }
    }

    private PickleValue name(String module, String name) {
        TorchName known =
                TorchName.of(module, name)
                        .orElseThrow(
                                () ->
                                        file.fail(
                                                "the pickle asks for "
                                                        + Message.quote(module + '.' + name)
                                                        + ", which is not run; allowed are"
                                                        + " tensors, their storages and plain"
                                                        + " values"));
        return new PickleValue.Name(known);
    }

    private void stackName() {
        PickleValue name = pop();
        PickleValue module = pop();
        if (name instanceof PickleValue.Text text && module instanceof PickleValue.Text from) {
            push(name(from.value(), text.value()));
        } else {
            throw file.fail(
                    "the pickle names something by "
                            + module.describe()
                            + " and "
                            + name.describe()
                            + ", expected two strings");
        }
    }

    private PickleValue persistentValue(PickleValue id) {
        if (id instanceof PickleValue.Tuple tuple) {
            return persistent.apply(tuple);
        }
        throw file.fail(
                "the pickle describes a storage by " + id.describe() + ", expected a tuple");
    }

    private void reduce() {
        PickleValue arguments = pop();
        PickleValue called = pop();
        if (!(called instanceof PickleValue.Name name)) {
            throw file.fail(
                    "the pickle calls "
                            + called.describe()
                            + ", which is not run; allowed are what makes tensors and"
                            + " collections.OrderedDict");
        }
        if (!(arguments instanceof PickleValue.Tuple tuple)) {
            throw file.fail(
                    "the pickle calls "
                            + name.describe()
                            + " with "
                            + arguments.describe()
                            + ", expected a tuple");
        }
        switch (name.name()) {
            case REBUILD_TENSOR ->
                    push(new PickleValue.Tensor(TorchTensors.rebuild(file, tuple.items())));
            case REBUILD_PARAMETER -> push(parameter(tuple.items()));
            case ORDERED_DICT -> {
                if (!tuple.items().isEmpty()) {
                    throw file.fail(
                            "the pickle calls collections.OrderedDict with "
                                    + tuple.items().size()
                                    + " arguments, expected none");
                }
                push(new PickleValue.Dict(true));
            }
            default ->
                    throw file.fail(
                            "the pickle calls "
                                    + name.describe()
                                    + ", expected it as a storage's type alone");
        }
    }

    private PickleValue parameter(List<PickleValue> arguments) {
        if (arguments.size() == 3
                && arguments.get(0) instanceof PickleValue.Tensor tensor
                && arguments.get(1) instanceof PickleValue.Bool
                && TorchTensors.isEmpty(arguments.get(2))) {
            return tensor;
        }
        throw file.fail(
                "the pickle calls torch._utils._rebuild_parameter with other arguments than a"
                        + " tensor, requires_grad and no hooks");
    }

    /**
     * Accepts the attributes that PyTorch keeps of a state dict: the versions of its modules, which
     * say nothing of tensors.
     */
    private void build() {
        PickleValue state = pop();
        PickleValue of = top();
        boolean versions =
                of instanceof PickleValue.Dict dict
                        && dict.ordered()
                        && state instanceof PickleValue.Dict attributes
                        && attributes.items().size() == 1
                        && attributes.items().get("_metadata") instanceof PickleValue.Dict;
        if (!versions) {
            throw file.fail(
                    "the pickle gives attributes to "
                            + of.describe()
                            + ", allowed is _metadata of an OrderedDict");
        }
    }

    private PickleValue textNumber(boolean mayBeBoolean) {
        String text = in.line(MAX_DIGITS, "a number");
        if (mayBeBoolean && (text.equals("00") || text.equals("01"))) {
            return new PickleValue.Bool(text.equals("01"));
        }
        return new PickleValue.Whole(parse(text.endsWith("L") ? chop(text) : text));
    }

    private static String chop(String text) {
        return text.substring(0, text.length() - 1);
    }

    private long parse(String text) {
        try {
            return Long.parseLong(text);
        } catch (NumberFormatException e) {
            throw new LoraConfigurationException(
                    file.name()
                            + ": the pickle holds "
                            + Message.quote(text)
                            + " in place of a whole number",
                    e);
        }
    }

    /** Reads a whole number in two's complement, its lowest byte first. */
    private PickleValue whole(long length) {
        if (length > MAX_DIGITS) {
            throw file.fail(
                    "the pickle holds a number of " + length + " bytes, allowed are " + MAX_DIGITS);
        }
        byte[] bytes = in.bytes((int) length);
        for (int i = 0, j = bytes.length - 1; i < j; i++, j--) {
            byte swapped = bytes[i];
            bytes[i] = bytes[j];
            bytes[j] = swapped;
        }
        BigInteger number = bytes.length == 0 ? BigInteger.ZERO : new BigInteger(bytes);
        return number.bitLength() < Long.SIZE
                ? new PickleValue.Whole(number.longValue())
                : new PickleValue.Huge(number.toString());
    }

    private PickleValue text(long length) {
        return new PickleValue.Text(in.text(length, MAX_TEXT, "a string of the pickle"));
    }

    private PickleValue tuple(int size) {
        PickleValue[] items = new PickleValue[size];
        for (int i = size - 1; i >= 0; i--) {
            items[i] = pop();
        }
        return new PickleValue.Tuple(List.of(items));
    }

    private List<PickleValue> list() {
        PickleValue value = top();
        if (value instanceof PickleValue.Items list) {
            return list.items();
        }
        throw file.fail("the pickle appends to " + value.describe() + ", expected a list");
    }

    private PickleValue.Dict dict() {
        PickleValue value = top();
        if (value instanceof PickleValue.Dict dict) {
            return dict;
        }
        throw file.fail("the pickle puts an item into " + value.describe() + ", expected a dict");
    }

    private void putAll(PickleValue.Dict dict, List<PickleValue> items) {
        if (items.size() % 2 != 0) {
            throw file.fail("the pickle puts a key without a value into a dict");
        }
        for (int i = 0; i < items.size(); i += 2) {
            PickleValue key = items.get(i);
            Object plain;
            if (key instanceof PickleValue.Text text) {
                plain = text.value();
            } else if (key instanceof PickleValue.Whole whole) {
                plain = whole.value();
            } else {
                throw file.fail(
                        "the pickle has "
                                + key.describe()
                                + " as the key of a dict, allowed are strings and whole numbers");
            }
            count();
            if (dict.items().put(plain, items.get(i + 1)) != null) {
                throw file.fail(
                        "the key "
                                + Message.quote(plain.toString())
                                + " occurs twice in a dict of the pickle");
            }
        }
    }

    private PickleValue remembered(long index) {
        PickleValue value = memo.get(index);
        if (value == null) {
            throw file.fail("the pickle takes out what it has not put away: number " + index);
        }
        return value;
    }

    private void push(PickleValue value) {
        stack.add(counted(value));
    }

    private PickleValue counted(PickleValue value) {
        count();
        return value;
    }

    private void count() {
        if (++made > MAX_VALUES) {
            throw file.fail("the pickle makes more than " + MAX_VALUES + " values");
        }
    }

    private PickleValue top() {
        checkNotEmpty();
        return stack.get(stack.size() - 1);
    }

    private PickleValue pop() {
        checkNotEmpty();
        return stack.remove(stack.size() - 1);
    }

    private void checkNotEmpty() {
        int bottom = marks.isEmpty() ? 0 : marks.get(marks.size() - 1);
        if (stack.size() <= bottom) {
            throw file.fail("the pickle takes from an empty stack at byte " + (in.position() - 1));
        }
    }

    /** Takes all values down to the last mark. */
    private List<PickleValue> popMark() {
        if (marks.isEmpty()) {
            throw file.fail("the pickle takes a mark that it has not set");
        }
        List<PickleValue> tail = stack.subList(marks.remove(marks.size() - 1), stack.size());
        PickleValue[] items = tail.toArray(PickleValue[]::new);
        tail.clear();
        return Arrays.asList(items);
    }

    private static String instruction(int code) {
        return code > ' ' && code < 0x7f
                ? Message.quote(String.valueOf((char) code))
                : String.format("0x%02x", code);
    }
}
