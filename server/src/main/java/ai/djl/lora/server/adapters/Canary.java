/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.server.adapters;

import ai.djl.lora.cache.AdapterCandidate;
import ai.djl.lora.server.http.HttpFailure;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.concurrent.ThreadLocalRandom;

/**
 * A revision that a share of an adapter's requests gets. Requests of one session get the same as
 * long as the canary lives, and those that get it still do when the share grows.
 *
 * @param candidate the revision
 * @param share which part of the sessions gets it, above 0 and at most 1
 */
public record Canary(AdapterCandidate candidate, double share) {

    /**
     * Constructs a new {@code Canary} instance.
     *
     * @param candidate the revision
     * @param share which part of the sessions gets it
     * @throws HttpFailure if the share is not above 0 and at most 1
     */
    public Canary {
        checkShare(share);
    }

    /** Refuses a share that is none. */
    static void checkShare(double share) {
        if (!(share > 0 && share <= 1)) {
            throw HttpFailure.badRequest(
                    "share", "share is " + share + "; it must be above 0 and at most 1");
        }
    }

    /**
     * Returns whether a request gets the new revision.
     *
     * @param session what requests have in common that must get the same; "" for nothing, where
     *     chance decides
     * @return whether it does
     */
    boolean takes(String session) {
        double place =
                session.isEmpty()
                        ? ThreadLocalRandom.current().nextDouble()
                        : place(candidate.getName() + '\n' + session);
        return place < share;
    }

    /** Returns a number from 0 to 1 that depends on nothing but the text. */
    private static double place(String text) {
        try {
            byte[] hash =
                    MessageDigest.getInstance("SHA-256")
                            .digest(text.getBytes(StandardCharsets.UTF_8));
            long bits = 0;
            for (int i = 0; i < Integer.BYTES; ++i) {
                bits = bits << Byte.SIZE | hash[i] & 0xff;
            }
            return bits / (double) (1L << Integer.SIZE);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
