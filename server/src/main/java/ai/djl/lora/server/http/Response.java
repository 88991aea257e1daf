/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.http;

import com.google.gson.JsonElement;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Flow;

/** What a request is answered with. */
public sealed interface Response permits Response.Whole, Response.Streamed {

    /** What says of which kind a content is. */
    String CONTENT_TYPE = "Content-Type";

    /**
     * Returns the status.
     *
     * @return the status
     */
    int status();

    /**
     * Returns the headers, without those that say how the body is sent.
     *
     * @return the headers
     */
    Map<String, String> headers();

    /**
     * Returns the same response with a header more.
     *
     * @param name the header's name
     * @param value its value
     * @return the response
     */
    Response with(String name, String value);

    /**
     * A response that is there as a whole.
     *
     * @param status the status
     * @param headers the headers
     * @param body the content
     */
    record Whole(int status, Map<String, String> headers, byte[] body) implements Response {

        /** {@inheritDoc} */
        @Override
        public Whole with(String name, String value) {
            return new Whole(status, added(headers, name, value), body);
        }
    }

    /**
     * A response that is sent while it is made. It is asked for one piece after the other as the
     * client takes them, and cancelled when the client has gone.
     *
     * @param status the status
     * @param headers the headers
     * @param pieces the content; an error ends the connection
     */
    record Streamed(int status, Map<String, String> headers, Flow.Publisher<byte[]> pieces)
            implements Response {

        /** {@inheritDoc} */
        @Override
        public Streamed with(String name, String value) {
            return new Streamed(status, added(headers, name, value), pieces);
        }
    }

    /**
     * Returns a response of JSON.
     *
     * @param status the status
     * @param json the content
     * @return the response
     */
    static Whole json(int status, JsonElement json) {
        return new Whole(
                status,
                Map.of(CONTENT_TYPE, "application/json"),
                json.toString().getBytes(StandardCharsets.UTF_8));
    }

    /**
     * Returns a response of text.
     *
     * @param status the status
     * @param type the content's type, such as {@code text/plain}; it is sent as UTF-8
     * @param text the content
     * @return the response
     */
    static Whole text(int status, String type, String text) {
        return new Whole(
                status,
                Map.of(CONTENT_TYPE, type + "; charset=utf-8"),
                text.getBytes(StandardCharsets.UTF_8));
    }

    private static Map<String, String> added(
            Map<String, String> headers, String name, String value) {
        Map<String, String> more = new LinkedHashMap<>(headers);
        more.put(name, value);
        return more;
    }
}
