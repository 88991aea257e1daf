/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.jit;

import ai.djl.engine.EngineException;
import ai.djl.lora.LoraBackendException;
import ai.djl.lora.jni.CudaDevice;
import ai.djl.lora.tensor.ElementType;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.LongStream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Gives a table of adapters on a GPU kernels that are compiled for its shapes, where none in the
 * native library serves the device, or where they are measurably faster than those.
 *
 * <p>What is compiled is kept on disk ({@link JitKernels}); measuring takes milliseconds on the
 * device. Both belong to setting a table up or to the first adapter of a rank, never to a step.
 */
public final class JitSelection {

    private static final Logger logger = LoggerFactory.getLogger(JitSelection.class);

    // less may be chance: medians of the same kernels differ by 1 to 2 %
    private static final double FASTER = 0.97;
    private static final int SEGMENTS = 32;
    private static final int MOST_MODULES = 4;

    private final JitKernels kernels;
    private final TableImages images;

    /**
     * Constructs a new {@code JitSelection} instance.
     *
     * @param kernels where compiled kernels come from
     */
    public JitSelection(JitKernels kernels) {
        this(kernels, new TableImages.OfLibrary());
    }

    JitSelection(JitKernels kernels, TableImages images) {
        this.kernels = kernels;
        this.images = images;
    }

    /**
     * Returns the selection with NVRTC and the default folder.
     *
     * @return the selection
     * @throws LoraBackendException if NVRTC or JCuda is missing, with what to do
     */
    public static JitSelection load() {
        return new JitSelection(JitKernels.inDefaultFolder(Nvrtc.load()));
    }

    /**
     * What was chosen for the modules of as many inputs.
     *
     * @param inFeatures the number of inputs
     * @param compiled whether calls over them use kernels that were compiled for them
     * @param reason why, in one line
     */
    public record Choice(long inFeatures, boolean compiled, String reason) {}

    /**
     * Compiles what {@link #apply} will want, if it is not on disk: that may take seconds, and calls
     * may use their tables meanwhile. What fails here is told there.
     *
     * @param device the device
     * @param type the type, float16 or bfloat16
     * @param rank the rank, 1 to 256
     * @param inFeatures the number of inputs of each of a table's modules
     */
    public void prepare(CudaDevice device, ElementType type, int rank, long[] inFeatures) {
        LongStream.of(inFeatures)
                .distinct()
                .mapToObj(in -> new KernelShape(type, rank, Math.toIntExact(in)))
                .filter(KernelShape::isFixed)
                .forEach(
                        shape -> {
                            try {
                                kernels.get(shape, device.major(), device.minor());
                            } catch (LoraBackendException e) {
                                logger.debug("Compiling ahead failed", e);
                            }
                        });
    }

    /**
     * Chooses kernels for each number of inputs that modules of a table have. Those that were
     * compiled for another rank before are replaced, or dropped if these are no faster. No call may
     * use the table meanwhile.
     *
     * @param table the table, as {@code ai.djl.lora.jni.DeviceTableNative} made it
     * @param device the device that it lies on
     * @param type the table's type, float16 or bfloat16
     * @param rank the rank that most adapters have, 1 to 256
     * @param inFeatures the number of inputs of each of the table's modules
     * @return a choice for each number of inputs
     * @throws LoraBackendException if the library has no kernels for the device and none can be
     *     compiled and loaded, with both reasons
     */
    public List<Choice> apply(
            long table, CudaDevice device, ElementType type, int rank, long[] inFeatures) {
        Map<Long, List<Integer>> groups = new LinkedHashMap<>();
        for (int module = 0; module < inFeatures.length; ++module) {
            List<Integer> group =
                    groups.computeIfAbsent(inFeatures[module], in -> new ArrayList<>());
            if (group.size() < MOST_MODULES) {
                group.add(module);
            }
        }
        List<Choice> choices = new ArrayList<>();
        for (Map.Entry<Long, List<Integer>> group : groups.entrySet()) {
            KernelShape shape = new KernelShape(type, rank, Math.toIntExact(group.getKey()));
            Choice choice = choose(table, device, shape, group.getValue());
            logger.info("Modules of {} inputs: {}", choice.inFeatures(), choice.reason());
            choices.add(choice);
        }
        return List.copyOf(choices);
    }

    private Choice choose(long table, CudaDevice device, KernelShape shape, List<Integer> modules) {
        long in = shape.hiddenSize();
        Optional<String> obstacle = images.obstacle(table);
        if (obstacle.isEmpty() && !shape.isFixed()) {
            return keepLibrary(
                    table, in, "the kernels have no way of their own for rank " + shape.rank());
        }
        JitKernels.CompiledKernels compiled;
        try {
            compiled = kernels.get(shape, device.major(), device.minor());
            images.use(table, compiled.code(), in);
        } catch (LoraBackendException | EngineException e) {
            if (obstacle.isPresent()) {
                throw new LoraBackendException(
                        "There are no CUDA kernels for "
                                + device.name()
                                + ": "
                                + obstacle.get()
                                + "; compiling them at run time failed: "
                                + e.getMessage(),
                        e);
            }
            return keepLibrary(table, in, "the library's kernels stay: " + e.getMessage());
        }
        String name = "kernels for rank " + shape.rank() + " and " + compiled.target().name();
        return obstacle.map(why -> new Choice(in, true, name + ", since " + why))
                .orElseGet(() -> compare(table, shape, modules, name));
    }

    private Choice compare(long table, KernelShape shape, List<Integer> modules, String name) {
        long in = shape.hiddenSize();
        TableImages.Times times;
        try {
            times = images.times(table, modules, SEGMENTS, shape.rank());
        } catch (EngineException e) {
            return keepLibrary(table, in, "the library's kernels stay: " + e.getMessage());
        }
        String reason =
                String.format(
                        Locale.ROOT,
                        "%s take %.1f microseconds, the library's %.1f",
                        name,
                        times.image(),
                        times.library());
        return times.image() <= FASTER * times.library()
                ? new Choice(in, true, reason)
                : keepLibrary(table, in, reason);
    }

    /** Also where another rank had an image before. */
    private Choice keepLibrary(long table, long in, String reason) {
        images.drop(table, in);
        return new Choice(in, false, reason);
    }
}
