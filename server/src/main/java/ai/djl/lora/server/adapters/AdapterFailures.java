/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters;

import ai.djl.lora.json.Message;
import ai.djl.lora.server.http.HttpFailure;
import java.util.Map;

/** Why adapters are not changed, as several of the changes say it. */
final class AdapterFailures {

    private AdapterFailures() {}

    static HttpFailure unknown(String name) {
        return new HttpFailure(
                404, "adapter_not_found", "there is no adapter " + Message.quote(name));
    }

    /** Something is in the way until somebody takes it away. */
    static HttpFailure conflict(String code, String message) {
        return new HttpFailure(409, code, message);
    }

    /** Something is in the way that goes away by itself. */
    static HttpFailure passing(int status, String code, String message, Throwable cause) {
        return new HttpFailure(status, code, message, null, Map.of("Retry-After", "1"), cause);
    }
}
