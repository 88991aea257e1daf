/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.engine;

/** How well the drafts of one sequence were met, and so how long the next may be. */
final class DraftRecord {

    private static final int LONGEST = 6;
    private static final int PAUSE = 24;
    private static final double DECAY = 0.7;

    /** Below this a draft costs more than it saves. */
    private static final double WORTH = 0.35;

    private double share = 1;
    private int pause;

    /** Returns the most tokens that a draft should have now. */
    int limit() {
        if (pause > 0) {
            --pause;
            return 0;
        }
        return (int) Math.max(1, Math.round(share * LONGEST));
    }

    /** Counts what came of a draft. */
    void count(int drafted, int met) {
        share = DECAY * share + (1 - DECAY) * met / drafted;
        if (share < WORTH) {
            pause = PAUSE;
            share = 2 * WORTH;
        }
    }
}
