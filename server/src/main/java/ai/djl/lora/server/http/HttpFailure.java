/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.http;

import java.util.Map;

/** A request that is refused or has failed, as its caller is told. */
public class HttpFailure extends RuntimeException {

    private static final long serialVersionUID = 1L;

    /** From 400 to 599. */
    private final int status;

    /** What is wrong in one word. */
    private final String code;

    /** The field that is wrong, or null. */
    private final String parameter;

    private final transient Map<String, String> headers;

    /**
     * Constructs a new {@code HttpFailure} instance.
     *
     * @param status the status, from 400 to 599
     * @param code what is wrong in one word, for programs, such as {@code model_not_found}
     * @param message what is wrong, for people: the thing, what was found and what is allowed
     */
    public HttpFailure(int status, String code, String message) {
        this(status, code, message, null, Map.of(), null);
    }

    /**
     * Constructs a new {@code HttpFailure} instance.
     *
     * @param status the status, from 400 to 599
     * @param code what is wrong in one word, for programs
     * @param message what is wrong, for people
     * @param parameter the field of the request that is wrong; null where it is none
     * @param headers further headers of the response, such as {@code Retry-After}
     * @param cause what it comes from; null for nothing
     */
    public HttpFailure(
            int status,
            String code,
            String message,
            String parameter,
            Map<String, String> headers,
            Throwable cause) {
        super(message, cause);
        this.status = status;
        this.code = code;
        this.parameter = parameter;
        this.headers = Map.copyOf(headers);
    }

    /**
     * Returns a refusal of a request that is wrong.
     *
     * @param parameter the field that is wrong; null where it is none
     * @param message what is wrong
     * @return a failure of status 400
     */
    public static HttpFailure badRequest(String parameter, String message) {
        return new HttpFailure(400, "invalid_request", message, parameter, Map.of(), null);
    }

    /**
     * Returns the status.
     *
     * @return the status, from 400 to 599
     */
    public int status() {
        return status;
    }

    /**
     * Returns what is wrong, for programs.
     *
     * @return one word
     */
    public String code() {
        return code;
    }

    /**
     * Returns the field of the request that is wrong.
     *
     * @return its name; null where it is none
     */
    public String parameter() {
        return parameter;
    }

    /**
     * Returns further headers of the response.
     *
     * @return the headers
     */
    public Map<String, String> headers() {
        return headers;
    }
}
