/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.format;

import ai.djl.lora.LoraConfigurationException;
import ai.djl.lora.json.Message;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What the values of a pickle say of tensors, checked.
 *
 * <p>A tensor is {@code _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)} in
 * PyTorch's {@code torch/_utils.py}; a storage is the persistent id {@code ("storage", type, key,
 * location, count)}, behind which files of the old kind have the parent of a view, which is None
 * since PyTorch 0.4.
 */
final class TorchTensors {

    private static final int MAX_DIMENSIONS = 64;

    private final DataChannel file;
    private final Map<String, TorchStorage> storages = new LinkedHashMap<>();

    /**
     * Constructs a new {@code TorchTensors} instance.
     *
     * @param file the file, for messages
     */
    TorchTensors(DataChannel file) {
        this.file = file;
    }

    /** Returns the storages by key, in the order in which the pickle names them. */
    Map<String, TorchStorage> storages() {
        return storages;
    }

    /** Returns the storage that a persistent id describes. */
    PickleValue storage(PickleValue.Tuple id) {
        List<PickleValue> items = id.items();
        boolean known =
                (items.size() == 5 || items.size() == 6 && items.get(5) == PickleValue.None.NONE)
                        && items.get(0) instanceof PickleValue.Text kind
                        && kind.value().equals("storage")
                        && items.get(1) instanceof PickleValue.Name type
                        && type.name().type().isPresent()
                        && items.get(2) instanceof PickleValue.Text
                        && items.get(3) instanceof PickleValue.Text
                        && items.get(4) instanceof PickleValue.Whole count
                        && count.value() >= 0;
        if (!known) {
            throw file.fail(
                    "the pickle describes a storage by other values than \"storage\", a type, a"
                            + " key, a location and a count");
        }
        TorchStorage storage =
                new TorchStorage(
                        ((PickleValue.Text) items.get(2)).value(),
                        ((PickleValue.Name) items.get(1)).name().type().orElseThrow(),
                        ((PickleValue.Whole) items.get(4)).value());
        if (storage.count() > Long.MAX_VALUE / storage.type().bytes()) {
            throw file.fail(
                    "storage "
                            + Message.quote(storage.key())
                            + " has "
                            + storage.count()
                            + " elements, which is more than there can be");
        }
        TorchStorage other = storages.putIfAbsent(storage.key(), storage);
        if (other != null && !other.equals(storage)) {
            throw file.fail(
                    "storage "
                            + Message.quote(storage.key())
                            + " has "
                            + other.count()
                            + " elements of type "
                            + other.type()
                            + " in one place and "
                            + storage.count()
                            + " of type "
                            + storage.type()
                            + " in another");
        }
        return new PickleValue.Storage(other == null ? storage : other);
    }

    /** Returns the tensors of a state dict by name. */
    static Map<String, TorchTensor> stateDict(DataChannel file, PickleValue value) {
        if (!(value instanceof PickleValue.Dict dict)) {
            throw file.fail(
                    "the file holds " + value.describe() + ", expected a dict of tensors by name");
        }
        Map<String, TorchTensor> tensors = new LinkedHashMap<>();
        dict.items()
                .forEach(
                        (key, item) -> {
                            String shown = Message.quote(key.toString());
                            if (!(key instanceof String name)) {
                                throw file.fail(
                                        "the dict has the key " + shown + ", expected names");
                            }
                            if (!(item instanceof PickleValue.Tensor tensor)) {
                                throw file.fail(
                                        "under the name "
                                                + shown
                                                + " is "
                                                + item.describe()
                                                + ", expected a tensor");
                            }
                            tensors.put(name, tensor.tensor());
                        });
        return tensors;
    }

    /** Returns whether a value is what PyTorch writes of a tensor that has no hooks. */
    static boolean isEmpty(PickleValue value) {
        return value == PickleValue.None.NONE
                || value instanceof PickleValue.Dict dict && dict.items().isEmpty();
    }

    /** Makes a tensor of a call's arguments. */
    static TorchTensor rebuild(DataChannel file, List<PickleValue> arguments) {
        boolean known =
                (arguments.size() == 6 || arguments.size() == 7 && isEmpty(arguments.get(6)))
                        && arguments.get(0) instanceof PickleValue.Storage
                        && arguments.get(1) instanceof PickleValue.Whole
                        && arguments.get(2) instanceof PickleValue.Tuple
                        && arguments.get(3) instanceof PickleValue.Tuple
                        && arguments.get(4) instanceof PickleValue.Bool
                        && isEmpty(arguments.get(5));
        if (!known) {
            throw file.fail(
                    "the pickle makes a tensor of other values than a storage, an offset, a size,"
                            + " a stride, requires_grad and no hooks");
        }
        TorchStorage storage = ((PickleValue.Storage) arguments.get(0)).storage();
        long offset = ((PickleValue.Whole) arguments.get(1)).value();
        long[] shape = numbers(file, storage, ((PickleValue.Tuple) arguments.get(2)).items());
        long[] strides = numbers(file, storage, ((PickleValue.Tuple) arguments.get(3)).items());
        if (shape.length != strides.length) {
            throw fail(
                    file,
                    storage,
                    "has " + shape.length + " dimensions and " + strides.length + " strides");
        }
        return check(file, storage, offset, shape, strides);
    }

    private static long[] numbers(DataChannel file, TorchStorage storage, List<PickleValue> items) {
        if (items.size() > MAX_DIMENSIONS) {
            throw fail(
                    file,
                    storage,
                    "has " + items.size() + " dimensions, allowed are " + MAX_DIMENSIONS);
        }
        long[] numbers = new long[items.size()];
        for (int i = 0; i < numbers.length; i++) {
            if (items.get(i) instanceof PickleValue.Whole whole && whole.value() >= 0) {
                numbers[i] = whole.value();
            } else {
                throw fail(
                        file,
                        storage,
                        "has "
                                + items.get(i).describe()
                                + " among its sizes and strides, expected whole numbers from 0"
                                + " on");
            }
        }
        return numbers;
    }

    /** Checks that the elements lie in the storage, and that no two of them are the same. */
    private static TorchTensor check(
            DataChannel file, TorchStorage storage, long offset, long[] shape, long[] strides) {
        long count = 1;
        long last = offset;
        try {
            for (int i = 0; i < shape.length; i++) {
                count = Math.multiplyExact(count, shape[i]);
                if (shape[i] > 0) {
                    last = Math.addExact(last, Math.multiplyExact(shape[i] - 1, strides[i]));
                }
            }
        } catch (ArithmeticException e) {
            throw new LoraConfigurationException(
                    file.name()
                            + ": a tensor of storage "
                            + Message.quote(storage.key())
                            + " is larger than any can be",
                    e);
        }
        boolean inside =
                offset >= 0 && (count == 0 ? offset <= storage.count() : last < storage.count());
        if (!inside) {
            throw fail(
                    file,
                    storage,
                    "reaches from element "
                            + offset
                            + " to "
                            + last
                            + ", but the storage has "
                            + storage.count());
        }
        if (count > 0 && overlaps(shape, strides)) {
            throw fail(file, storage, "has one element of the storage in several places");
        }
        return new TorchTensor(storage, offset, shape, strides, count);
    }

    /**
     * Returns whether a dimension's step is shorter than what the finer dimensions cover. Tensors
     * that were sliced, transposed or permuted do not have that; expanded ones do, and could be
     * made as large as one likes of a single element.
     */
    private static boolean overlaps(long[] shape, long[] strides) {
        List<Integer> order = new ArrayList<>();
        for (int i = 0; i < shape.length; i++) {
            if (shape[i] > 1) {
                order.add(i);
            }
        }
        order.sort(Comparator.comparingLong(i -> strides[i]));
        long covered = 1;
        for (int i : order) {
            if (strides[i] < covered) {
                return true;
            }
            covered += (shape[i] - 1) * strides[i];
        }
        return false;
    }

    private static LoraConfigurationException fail(
            DataChannel file, TorchStorage storage, String what) {
        return file.fail("a tensor of storage " + Message.quote(storage.key()) + ' ' + what);
    }
}
