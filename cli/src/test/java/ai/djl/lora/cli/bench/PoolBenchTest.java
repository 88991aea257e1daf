/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import static org.testng.Assert.assertTrue;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.testng.annotations.Test;

public class PoolBenchTest {

    private static final Logger logger = LoggerFactory.getLogger(PoolBenchTest.class);

    @Test
    public void aPoolThatIsFullAtTimesIsMeasured() {
        PoolBench.Result result = PoolBench.run(100_000);
        logger.info("{}", result);
        assertTrue(result.fragmentation() < 0.1, result.toString());
        assertTrue(result.fragmentationBefore() > 0.1, result.toString());
        assertTrue(result.allocationMicros() > 0, result.toString());
    }
}
