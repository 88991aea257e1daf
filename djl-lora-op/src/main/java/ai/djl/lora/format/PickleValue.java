/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What a pickle of tensors may be made of. Values are never compared, hashed or printed whole: a
 * pickle can make them contain themselves.
 */
sealed interface PickleValue {

    /** Returns what the value is in words, such as {@code a list}. */
    String describe();

    /** Python's None. */
    enum None implements PickleValue {
        /** The only one. */
        NONE;

        @Override
        public String describe() {
            return "None";
        }
    }

    /** True or False. */
    record Bool(boolean value) implements PickleValue {
        @Override
        public String describe() {
            return value ? "True" : "False";
        }
    }

    /** A whole number of at most 64 bits. */
    record Whole(long value) implements PickleValue {
        @Override
        public String describe() {
            return "the number " + value;
        }
    }

    /** A whole number of more than 64 bits, of which only being another one matters. */
    record Huge(String digits) implements PickleValue {
        @Override
        public String describe() {
            return "the number " + digits;
        }
    }

    /** A floating-point number. */
    record Real(double value) implements PickleValue {
        @Override
        public String describe() {
            return "the number " + value;
        }
    }

    /** A string. */
    record Text(String value) implements PickleValue {
        @Override
        public String describe() {
            return "a string";
        }
    }

    /** A tuple, which does not change once it is made. */
    record Tuple(List<PickleValue> items) implements PickleValue {
        @Override
        public String describe() {
            return "a tuple";
        }
    }

    /** A list. */
    record Items(ArrayList<PickleValue> items) implements PickleValue {
        @Override
        public String describe() {
            return "a list";
        }
    }

    /** A dict or an OrderedDict, whose keys are texts or whole numbers. */
    record Dict(Map<Object, PickleValue> items, boolean ordered) implements PickleValue {

        Dict(boolean ordered) {
            // few are large, and most stay empty: the hooks of each tensor
            this(new LinkedHashMap<>(2), ordered);
        }

        @Override
        public String describe() {
            return "a dict";
        }
    }

    /** Something that a pickle may name. */
    record Name(TorchName name) implements PickleValue {
        @Override
        public String describe() {
            return name.qualified();
        }
    }

    /** A storage. */
    record Storage(TorchStorage storage) implements PickleValue {
        @Override
        public String describe() {
            return "a storage";
        }
    }

    /** A tensor. */
    record Tensor(TorchTensor tensor) implements PickleValue {
        @Override
        public String describe() {
            return "a tensor";
        }
    }
}
