/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.generate.sampling;

/** Follows one sequence's text in an automaton. */
final class AutomatonConstraint implements TokenConstraint {

    private final CompiledConstraint constraint;
    private final Vocabulary vocabulary;
    private int state = CompiledConstraint.START;

    /**
     * Constructs a new {@code AutomatonConstraint} instance.
     *
     * @param constraint the automaton and its masks
     * @param vocabulary the bytes of the tokens
     */
    AutomatonConstraint(CompiledConstraint constraint, Vocabulary vocabulary) {
        this.constraint = constraint;
        this.vocabulary = vocabulary;
    }

    /** {@inheritDoc} */
    @Override
    public void fillMask(long[] mask) {
        long[] tokens = constraint.mask(state);
        for (int i = 0; i < mask.length; ++i) {
            mask[i] = i < tokens.length ? tokens[i] : 0;
        }
    }

    /** {@inheritDoc} */
    @Override
    public boolean mayEnd() {
        return constraint.isAccept(state);
    }

    /** {@inheritDoc} */
    @Override
    public boolean isComplete() {
        return constraint.isLast(state);
    }

    /** {@inheritDoc} */
    @Override
    public void accept(int token) {
        byte[] text = token < 0 || token >= vocabulary.size() ? null : vocabulary.bytes(token);
        int next = text == null || text.length == 0 ? -1 : constraint.step(state, text);
        if (next < 0) {
            throw new IllegalArgumentException(
                    "token " + token + " is not allowed here; the mask says which are");
        }
        state = next;
    }
}
