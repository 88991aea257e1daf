/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.serving.workflow;

import ai.djl.modality.Input;

/** A function with its arguments. */
public class WorkflowExpression {

    /**
     * Declares the constructor.
     *
     * @param args the function's name and its arguments
     */
    public WorkflowExpression(Item... args) {
        throw new UnsupportedOperationException("a declaration");
    }

    /** A part of an expression. */
    public static class Item {

        /**
         * Declares the constructor.
         *
         * @param string a name
         */
        public Item(String string) {
            throw new UnsupportedOperationException("a declaration");
        }

        /**
         * Declares the constructor.
         *
         * @param input a value
         */
        public Item(Input input) {
            throw new UnsupportedOperationException("a declaration");
        }

        /**
         * Returns its name.
         *
         * @return the name, or null
         */
        public String getString() {
            throw new UnsupportedOperationException("a declaration");
        }

        /**
         * Returns its value.
         *
         * @return the value, or null
         */
        public Input getInput() {
            throw new UnsupportedOperationException("a declaration");
        }
    }
}
