/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.e2e;

import ai.djl.lora.cache.AdapterLease;
import ai.djl.lora.cache.AdapterStore;
import ai.djl.lora.model.CausalLanguageModel;
import ai.djl.lora.nn.AdaptedBlock;
import ai.djl.lora.op.AdapterTable;
import ai.djl.lora.op.BatchPlan;
import ai.djl.lora.op.LoraContext;
import ai.djl.lora.op.LoraModule;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.repository.zoo.Criteria;
import ai.djl.repository.zoo.ZooModel;
import ai.djl.translate.NoopTranslator;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Calls the operator and loads adapters many times, and prints what that did to the resident size
 * and to the count of open arrays. To be run in a JVM of its own, whose heap is in memory from the
 * start and does not grow.
 */
public final class MemoryProbe {

    private static final int CALLS = 10_000;
    private static final int LOADS = 1_000;
    private static final int ROWS = 16;
    private static final long PAGE = 4096;

    private MemoryProbe() {}

    /** Arguments: the model's folder, the adapter's folder and the backend. */
    public static void main(String[] args) throws Exception {
        Criteria<NDList, NDList> criteria =
                Criteria.builder()
                        .setTypes(NDList.class, NDList.class)
                        .optModelPath(Path.of(args[0]))
                        .optTranslator(new NoopTranslator())
                        .optArgument("backend", args[2])
                        .optArgument("dtype", "float32")
                        .build();
        try (ZooModel<NDList, NDList> model = criteria.loadModel()) {
            CausalLanguageModel block = (CausalLanguageModel) model.getBlock();
            Path adapter = Path.of(args[1]);
            block.getAdapters().register("a", adapter);
            // Warm-up: compiled code, class data and the allocator's arenas settle.
            for (int i = 0; i < 2; ++i) {
                callOperator(block, CALLS);
                loadAdapters(block, adapter, LOADS);
            }
            long arrays = openArrays();
            long resident = residentBytes();
            callOperator(block, CALLS);
            long afterCalls = residentBytes();
            loadAdapters(block, adapter, LOADS);
            long afterLoads = residentBytes();
            System.out.println("calls " + (afterCalls - resident));
            System.out.println("loads " + (afterLoads - afterCalls));
            System.out.println("arrays " + (openArrays() - arrays));
        }
    }

    private static void callOperator(AdaptedBlock block, int calls) {
        LoraContext context = block.getLoraContext();
        LoraModule module = context.getModules().get(0);
        AdapterTable table = context.getTable();
        try (AdapterLease lease = block.getAdapters().acquire("a")) {
            int[] slots = new int[ROWS];
            for (int row = 0; row < ROWS; ++row) {
                slots[row] = row % 3 == 0 ? BatchPlan.BASE : lease.getSlot();
            }
            BatchPlan plan = BatchPlan.ofRows(slots);
            Shape in = new Shape(ROWS, module.inFeatures());
            Shape out = new Shape(ROWS, module.outFeatures());
            for (int i = 0; i < calls; ++i) {
                try (NDManager manager = context.getManager().newSubManager()) {
                    NDArray x = manager.ones(in, DataType.FLOAT32);
                    NDArray base = manager.zeros(out, DataType.FLOAT32);
                    table.apply(module.index(), x, base, null, plan);
                }
            }
        }
    }

    private static void loadAdapters(AdaptedBlock block, Path adapter, int loads) {
        AdapterStore store = block.getAdapters();
        for (int i = 0; i < loads; ++i) {
            store.register("b", adapter);
            store.acquire("b").close();
            store.unregister("b");
        }
    }

    static long openArrays() {
        NDManager manager = NDManager.newBaseManager();
        try {
            return manager.getParentManager().getManagedArrays().size();
        } finally {
            manager.close();
        }
    }

    static long residentBytes() throws IOException {
        System.gc();
        System.gc();
        String[] pages = Files.readString(Path.of("/proc/self/statm")).trim().split(" ");
        return Long.parseLong(pages[1]) * PAGE;
    }
}
