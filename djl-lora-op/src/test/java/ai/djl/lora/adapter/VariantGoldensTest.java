/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.adapter;

import ai.djl.lora.op.ModelLayout;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class VariantGoldensTest {

    @DataProvider
    public Object[][] adapters() throws IOException {
        List<Object[]> found = new ArrayList<>();
        for (String model : List.of("llama", "qwen2")) {
            ModelLayout layout =
                    GoldenModels.layout(GoldenModels.VARIANTS.resolve(model + "/base"));
            try (Stream<Path> folders =
                    Files.list(GoldenModels.VARIANTS.resolve(model + "/adapters"))) {
                folders.sorted().forEach(folder -> found.add(new Object[] {folder, layout}));
            }
        }
        return found.toArray(Object[][]::new);
    }

    @Test(dataProvider = "adapters")
    public void loads(Path folder, ModelLayout layout) {
        LoadReport report = AdapterLoader.validate(folder, layout, LoadingPolicy.STRICT);
        System.out.println(
                report
                        + " "
                        + report.modules().stream().map(ModuleReport::variant).distinct().toList());
    }
}
