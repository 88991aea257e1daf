/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
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
                        request(new SamplingParameters(1e9, 1, 1e-9, -1, Integer.MAX_VALUE), 5)));
    }

    @DataProvider
    public Object[][] badRequests() {
        String temperature = "; it must be 0 (greedy) or a finite number above";
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
            {request(SamplingParameters.greedy(0), 1), "maxNewTokens is 0; it must be 1 or more"},
            {request(new SamplingParameters(-0.5, 1, 1), 1), "temperature is -0.5" + temperature},
            {
                request(new SamplingParameters(Double.NaN, 1, 1), 1),
                "temperature is NaN" + temperature
            },
            {
                request(new SamplingParameters(Double.POSITIVE_INFINITY, 1, 1), 1),
                "temperature is Infinity" + temperature
            },
            {
                request(new SamplingParameters(1, -1, 1, 1, 1), 1),
                "topK is -1; it must be 0 (all tokens) or more"
            },
            {
                request(new SamplingParameters(1, 0, 0, 1, 1), 1),
                "topP is 0.0; it must be above 0 and at most 1 (all tokens)"
            },
            {
                request(new SamplingParameters(1, 0, Double.NaN, 1, 1), 1),
                "topP is NaN; it must be above 0 and at most 1 (all tokens)"
            },
            {
                request(new SamplingParameters(1, 0, 1.5, 1, 1), 1),
                "topP is 1.5; it must be above 0 and at most 1 (all tokens)"
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

    private static GenerationRequest request(SamplingParameters sampling, int... prompt) {
        return new GenerationRequest(prompt, "", sampling);
    }
}
