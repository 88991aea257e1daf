/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import ai.djl.lora.TempDirectory;
import java.io.IOException;
import java.util.List;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.Tuple;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.AfterTry;
import net.jqwik.api.lifecycle.BeforeContainer;

/** Random histories of a store; see {@link StoreModel}. */
class StoreProperties {

    private static final int STEPS = 60;
    private static final int SEEDS = 16;
    private static final int NAMES = 5;

    private static TempDirectory directory;
    private static SmallAdapters adapters;

    private StoreModel model;

    /** A step, with what it is called when a history is printed. */
    private record Step(String text, Consumer<StoreModel> action) {

        @Override
        public String toString() {
            return text;
        }
    }

    @BeforeContainer
    static void write() throws IOException {
        directory = new TempDirectory();
        adapters = new SmallAdapters(directory.path(), SEEDS);
    }

    @AfterContainer
    static void delete() throws IOException {
        directory.close();
    }

    @AfterTry
    void close() {
        if (model != null) {
            model.close();
        }
    }

    @Property(edgeCases = EdgeCasesMode.NONE)
    void storeDoesWhatItsModelDoes(@ForAll("histories") List<Step> history) {
        model = new StoreModel(adapters);
        for (Step step : history) {
            step.action.accept(model);
            model.check();
        }
    }

    @Provide
    Arbitrary<List<Step>> histories() {
        Arbitrary<Step> step =
                Arbitraries.frequencyOf(
                        Tuple.of(6, seeded("register", StoreModel::register)),
                        Tuple.of(3, seeded("replace", StoreModel::replace)),
                        Tuple.of(2, named("rollback", StoreModel::rollback)),
                        Tuple.of(1, named("unregister", StoreModel::unregister)),
                        Tuple.of(1, named("retire", StoreModel::retire)),
                        Tuple.of(1, named("pin", (m, n) -> m.pin(n, true))),
                        Tuple.of(2, named("unpin", (m, n) -> m.pin(n, false))),
                        Tuple.of(10, named("acquire", StoreModel::acquire)),
                        Tuple.of(8, numbered("release", StoreModel::release)),
                        Tuple.of(2, named("offload", StoreModel::offload)),
                        Tuple.of(1, plain("clean up", StoreModel::cleanUp)),
                        Tuple.of(1, plain("compress", StoreModel::compress)),
                        Tuple.of(1, numbered("fail", (m, i) -> m.fail(i, true))),
                        Tuple.of(2, numbered("mend", (m, i) -> m.fail(i, false))),
                        Tuple.of(1, plain("restart", StoreModel::restart)));
        return step.list().ofMinSize(1).ofMaxSize(STEPS);
    }

    private static Arbitrary<String> names() {
        return Arbitraries.integers().between(0, NAMES - 1).map(i -> "n" + i);
    }

    private static Arbitrary<Step> plain(String text, Consumer<StoreModel> action) {
        return Arbitraries.just(new Step(text, action));
    }

    private static Arbitrary<Step> named(String text, BiConsumer<StoreModel, String> action) {
        return names().map(name -> new Step(text + ' ' + name, m -> action.accept(m, name)));
    }

    private static Arbitrary<Step> numbered(String text, BiConsumer<StoreModel, Integer> action) {
        return Arbitraries.integers()
                .between(0, SEEDS - 1)
                .map(i -> new Step(text + ' ' + i, m -> action.accept(m, i)));
    }

    /** What takes a name and the seed of an adapter. */
    private interface Seeded {
        void accept(StoreModel model, String name, int seed);
    }

    private static Arbitrary<Step> seeded(String text, Seeded action) {
        return Combinators.combine(names(), Arbitraries.integers().between(0, SEEDS - 1))
                .as(
                        (name, seed) ->
                                new Step(
                                        text + ' ' + name + ' ' + seed,
                                        m -> action.accept(m, name, seed)));
    }
}
