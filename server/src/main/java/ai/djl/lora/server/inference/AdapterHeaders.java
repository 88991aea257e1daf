/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.inference;

import ai.djl.lora.generate.engine.AnsweringRevision;
import ai.djl.lora.server.http.RequestOutcome;
import ai.djl.lora.server.http.Response;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Says in a response's headers who answered: {@code X-Adapter} ("" for the base model), {@code
 * X-Adapter-Revision} and, where another answered in the adapter's place, {@code
 * X-Adapter-Substituted-By}. Where several inputs were answered differently each header lists them
 * in order, parted by commas. Names that headers cannot hold are written as in URLs.
 */
public final class AdapterHeaders {

    private AdapterHeaders() {}

    /**
     * Adds the headers.
     *
     * @param response the response
     * @param adapters the adapters' names
     * @param revisions who answered
     * @return the response with them
     */
    public static Response add(
            Response response, List<String> adapters, List<AnsweringRevision> revisions) {
        Response named =
                response.with(
                                RequestOutcome.ADAPTER,
                                joined(adapters.stream().map(AdapterHeaders::plain).toList()))
                        .with(
                                RequestOutcome.REVISION,
                                joined(
                                        revisions.stream()
                                                .map(AnsweringRevision::revision)
                                                .toList()));
        List<String> others =
                revisions.stream()
                        .map(
                                who ->
                                        who.substitution()
                                                .map(s -> s.by().name().toLowerCase(Locale.ROOT))
                                                .orElse(""))
                        .toList();
        return others.stream().allMatch(String::isEmpty)
                ? named
                : named.with("X-Adapter-Substituted-By", joined(others));
    }

    private static String joined(List<String> values) {
        List<String> different = values.stream().distinct().toList();
        return different.size() == 1 ? different.get(0) : String.join(",", values);
    }

    private static String plain(String name) {
        boolean plain = name.chars().allMatch(c -> c > ' ' && c < 127);
        return plain ? name : URLEncoder.encode(name, StandardCharsets.UTF_8);
    }

    /**
     * Returns the type of answers that are events, with what keeps proxies from holding them back.
     *
     * @param type the type
     * @return the headers
     */
    static Map<String, String> ofStream(String type) {
        return Map.of(
                Response.CONTENT_TYPE,
                type,
                "Cache-Control",
                "no-cache",
                "X-Accel-Buffering",
                "no");
    }
}
