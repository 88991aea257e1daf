/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cache;

import java.io.PrintWriter;
import java.io.StringWriter;
import org.junit.platform.engine.discovery.DiscoverySelectors;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.platform.launcher.listeners.SummaryGeneratingListener;
import org.testng.Assert;
import org.testng.annotations.Test;

/** Runs {@link StoreProperties} by jqwik's engine, which knows how to shrink what fails. */
public class StoreModelTest {

    @Test
    public void storeDoesWhatItsModelDoes() {
        LauncherDiscoveryRequest request =
                LauncherDiscoveryRequestBuilder.request()
                        .selectors(DiscoverySelectors.selectClass(StoreProperties.class))
                        .configurationParameter("jqwik.database", "")
                        .configurationParameter(
                                "jqwik.tries.default", System.getProperty("djl.lora.tries", "60"))
                        .build();
        SummaryGeneratingListener listener = new SummaryGeneratingListener();
        LauncherFactory.create().execute(request, listener);
        StringWriter text = new StringWriter();
        listener.getSummary().printFailuresTo(new PrintWriter(text));
        Assert.assertEquals(listener.getSummary().getTotalFailureCount(), 0, text.toString());
        Assert.assertEquals(listener.getSummary().getTestsSucceededCount(), 1);
    }
}
