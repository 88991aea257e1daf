/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.registry.AdapterRegistry;
import ai.djl.lora.registry.RegisteredAdapter;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Loads what was asked for most before a restart: pinned adapters first, then by frequency. */
final class WarmStart {

    private static final Logger logger = LoggerFactory.getLogger(WarmStart.class);

    private final AdapterRegistry registry;
    private final AdapterCatalog catalog;
    private final DeviceTier device;
    private final Leasing leasing;
    private final StoreOptions options;

    /**
     * Constructs a new {@code WarmStart} instance.
     *
     * @param registry what knows how adapters were used
     * @param catalog the names
     * @param device the device tier
     * @param leasing what loads adapters
     * @param options how much the device holds, and how many loads wait
     */
    WarmStart(
            AdapterRegistry registry,
            AdapterCatalog catalog,
            DeviceTier device,
            Leasing leasing,
            StoreOptions options) {
        this.registry = registry;
        this.catalog = catalog;
        this.device = device;
        this.leasing = leasing;
        this.options = options;
    }

    /** Returns a future of the number of adapters that are loaded. */
    CompletableFuture<Integer> run() {
        List<String> names = chosen();
        CompletableFuture<Integer> count = CompletableFuture.completedFuture(0);
        // as many at a time as there are workers, so that requests find the queue free
        int lanes = options.getLoadWorkers();
        List<CompletableFuture<Integer>> chains = new ArrayList<>();
        for (int lane = 0; lane < lanes; ++lane) {
            CompletableFuture<Integer> chain = CompletableFuture.completedFuture(0);
            for (int i = lane; i < names.size(); i += lanes) {
                String name = names.get(i);
                chain = chain.thenCompose(sum -> load(name).thenApply(one -> sum + one));
            }
            chains.add(chain);
        }
        for (CompletableFuture<Integer> chain : chains) {
            count = count.thenCombine(chain, Integer::sum);
        }
        return count;
    }

    private List<String> chosen() {
        List<RegisteredAdapter> wanted = new ArrayList<>();
        registry.list().stream().filter(RegisteredAdapter::pinned).forEach(wanted::add);
        registry.hottest(device.tier().limits().entries()).stream()
                .filter(adapter -> !adapter.pinned())
                .forEach(wanted::add);
        long room = device.tier().limits().bytes();
        List<String> names = new ArrayList<>();
        for (RegisteredAdapter adapter : wanted) {
            room -= adapter.current().bytes();
            if (room < 0 || names.size() == device.tier().limits().entries()) {
                break;
            }
            if (!adapter.retired()) {
                names.add(adapter.name());
            }
        }
        return names;
    }

    private CompletableFuture<Integer> load(String name) {
        try {
            catalog.find(name);
            return leasing.acquireAsync(name, options.getLoadTimeout(), UnavailablePolicy.FAIL)
                    .handle(
                            (lease, failure) -> {
                                if (failure != null) {
                                    logger.warn(
                                            "Adapter {} is not loaded at the start: {}",
                                            name,
                                            failure.getMessage());
                                    return 0;
                                }
                                lease.close();
                                return 1;
                            });
        } catch (RuntimeException e) {
            logger.warn("Adapter {} is not loaded at the start: {}", name, e.getMessage());
            return CompletableFuture.completedFuture(0);
        }
    }
}
