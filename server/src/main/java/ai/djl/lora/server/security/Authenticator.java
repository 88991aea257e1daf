/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.security;

import ai.djl.lora.server.http.Caller;
import ai.djl.lora.server.http.HttpFailure;
import java.util.Optional;

/** Knows callers by what they show. */
@FunctionalInterface
public interface Authenticator {

    /**
     * Finds out who shows a key or a token.
     *
     * @param credential the key or the token
     * @return the caller; empty where it is none of those that this knows
     * @throws HttpFailure of status 401 if it is one of those and must not be accepted, of 503 if
     *     that cannot be found out now
     */
    Optional<Caller> authenticate(String credential);
}
