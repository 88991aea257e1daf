/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.registry;

import ai.djl.lora.TempDirectory;
import java.io.IOException;
import java.nio.file.Files;
import java.util.SplittableRandom;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

/** Random changes against the plainest form of the rules, with restarts in between. */
public class RegistryModelTest {

    private static final int MAX_REVISIONS = 3;

    @DataProvider
    public Object[][] seeds() {
        return new Object[][] {{1L}, {2L}};
    }

    @Test(dataProvider = "seeds")
    public void everyStepSurvivesARestart(long seed) throws IOException {
        // so few bytes that the log is written anew again and again
        RegistryOptions options =
                Registries.options()
                        .optMaxRevisions(MAX_REVISIONS)
                        .optCompactionBytes(4_096)
                        .build();
        RegistryModel model = new RegistryModel(MAX_REVISIONS);
        SplittableRandom random = new SplittableRandom(seed);
        long shrunk = 0;
        try (TempDirectory temp = TempDirectory.inMemory()) {
            long bytes = 0;
            String what = "a new registry";
            for (int i = 0; i < 300; ++i) {
                try (AdapterRegistry registry = AdapterRegistry.open(temp.path(), options)) {
                    model.check(registry, "seed " + seed + ", opened after " + what);
                    what = "step " + i + ": " + model.step(registry, random);
                    model.check(registry, "seed " + seed + ", " + what);
                }
                long now = Files.size(temp.path().resolve("registry.log"));
                shrunk += now < bytes ? 1 : 0;
                bytes = now;
            }
        }
        Assert.assertTrue(shrunk > 3, "the log was compacted " + shrunk + " times");
    }

    @Test
    public void longRunsKeepToTheRules() {
        RegistryModel model = new RegistryModel(MAX_REVISIONS);
        SplittableRandom random = new SplittableRandom(5);
        AdapterRegistry registry =
                AdapterRegistry.inMemory(
                        Registries.options().optMaxRevisions(MAX_REVISIONS).build());
        for (int i = 0; i < 50_000; ++i) {
            model.check(registry, "step " + i + ": " + model.step(registry, random));
        }
    }
}
