/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate;

import ai.djl.lora.generate.sampling.SamplingParameters;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.testng.Assert;
import org.testng.annotations.DataProvider;
import org.testng.annotations.Test;

public class RequestValidatorTest {

    private static final SamplingParameters GREEDY = SamplingParameters.greedy(1);

    private final RequestValidator validator = new RequestValidator(100, 8);

    @Test
    public void testLimitsAreAllowed() {
        validator.validate(
                List.of(
                        request(GREEDY, 0, 99),
                        request(GREEDY, new int[7]),
                        request(SamplingParameters.of(1e9, 1, 1e-9, -1, Integer.MAX_VALUE), 5)));
    }

    @DataProvider
    public Object[][] badRequests() {
        return new Object[][] {
            {null, "is null; a request is needed"},
            {
                new GenerationRequest(null, "", GREEDY),
                "promptTokens is empty; at least one token is needed"
            },
            {request(GREEDY), "promptTokens is empty; at least one token is needed"},
            {request(GREEDY, 1, 100), "promptTokens[1] is 100; the model's vocabulary is 0 to 99"},
            {request(GREEDY, -1), "promptTokens[0] is -1; the model's vocabulary is 0 to 99"},
            {
                request(GREEDY, new int[8]),
                "promptTokens has 8 tokens; the model has 8 positions and one new token needs one,"
                        + " so a prompt has at most 7"
            },
            {request(null, 1), "sampling is null; sampling parameters are needed"},
            {
                request(sampling().logitBias(Map.of(3, 1f, 100, 1f)).build(), 1),
                "logitBias names token 100; the model's vocabulary is 0 to 99"
            },
            {
                request(sampling().stopTokens(Set.of(100)).build(), 1),
                "stopTokens names token 100; the model's vocabulary is 0 to 99"
            },
            {
                request(sampling().stopStrings(List.of("x")).build(), 1),
                "stopStrings is not served for token ids; it must be empty"
            },
        };
    }

    @Test(dataProvider = "badRequests")
    public void testBadRequestsAreNamed(GenerationRequest bad, String reason) {
        List<GenerationRequest> requests =
                new ArrayList<>(Arrays.asList(request(GREEDY, 1), bad, request(GREEDY, 2)));
        GenerationRequestException e =
                Assert.expectThrows(
                        GenerationRequestException.class, () -> validator.validate(requests));
        Assert.assertEquals(e.getIndex(), 1);
        Assert.assertEquals(e.getReason(), reason);
        Assert.assertEquals(e.getMessage(), "requests[1]: " + reason);
    }

    private static SamplingParameters.Builder sampling() {
        return SamplingParameters.builder();
    }

    private static GenerationRequest request(SamplingParameters sampling, int... prompt) {
        return new GenerationRequest(prompt, "", sampling);
    }
}
