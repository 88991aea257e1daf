/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import ai.djl.lora.format.AdapterFiles;
import ai.djl.lora.safetensors.TensorInfo;
import ai.djl.lora.tensor.HostTensor;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Reads an adapter's tensors, each once, and looks at every byte on the way. */
final class ScannedTensors implements TensorReader {

    private final AdapterFiles files;
    private final Placement placement;
    private final Map<String, String> digests = new HashMap<>();
    private final Set<String> zeroes = new HashSet<>();
    private final List<Issue> issues = new ArrayList<>();

    /**
     * Constructs a new {@code ScannedTensors} instance.
     *
     * @param files the adapter
     * @param placement says which tensors are used
     */
    ScannedTensors(AdapterFiles files, Placement placement) {
        this.files = files;
        this.placement = placement;
    }

    /** {@inheritDoc} */
    @Override
    public HostTensor read(String name) {
        if (digests.containsKey(name)) {
            throw new IllegalStateException("Tensor " + name + " is read a second time");
        }
        TensorInfo info = files.tensors().get(name);
        byte[] data = files.read(name);
        TensorScan scan = newScan(info);
        scan.add(ByteBuffer.wrap(data));
        finish(info, scan);
        return new HostTensor(info.type().elementType().orElseThrow(), info.shape(), data);
    }

    /** Looks at every tensor that has not been read, without keeping it. */
    void scanRest() {
        for (TensorInfo info : files.tensors().values()) {
            if (!digests.containsKey(info.name())) {
                TensorScan scan = newScan(info);
                files.stream(info.name(), scan::add);
                finish(info, scan);
            }
        }
    }

    private TensorScan newScan(TensorInfo info) {
        boolean used = placement.claimedTensors().contains(info.name());
        return new TensorScan(used ? info.type().elementType().orElse(null) : null);
    }

    private void finish(TensorInfo info, TensorScan scan) {
        digests.put(info.name(), scan.finish());
        if (scan.isZero()) {
            zeroes.add(info.name());
        }
        if (scan.notFinite() >= 0) {
            issues.add(
                    new Issue(
                            Severity.ERROR,
                            Issues.TENSOR_VALUE,
                            placement.show(info.name())
                                    + " holds NaN or an infinity at "
                                    + Arrays.toString(index(info.shape(), scan.notFinite()))
                                    + ", every weight must be finite"));
        }
    }

    private static long[] index(long[] shape, long position) {
        long[] index = new long[shape.length];
        long rest = position;
        for (int i = shape.length - 1; i >= 0; i--) {
            index[i] = rest % shape[i];
            rest /= shape[i];
        }
        return index;
    }

    /** Returns the SHA-256 of each tensor that was read or scanned, by normalised name. */
    Map<String, String> digests() {
        return digests;
    }

    /** Returns whether a tensor is all zero. */
    boolean isZero(String name) {
        return zeroes.contains(name);
    }

    /** Returns what was found in the data. */
    List<Issue> issues() {
        return issues;
    }
}
