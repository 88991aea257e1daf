/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.serving.workflow;

import java.util.concurrent.CompletableFuture;

/** Models and functions that answer together. */
public class Workflow implements AutoCloseable {

    Workflow() {}

    /** {@inheritDoc} */
    @Override
    public void close() {
        throw new UnsupportedOperationException("a declaration");
    }

    /** Runs a workflow. */
    public final class WorkflowExecutor {

        private WorkflowExecutor() {}

        /**
         * Computes an expression.
         *
         * @param expr the expression
         * @return its value
         */
        public CompletableFuture<WorkflowExpression.Item> executeExpression(
                WorkflowExpression expr) {
            throw new UnsupportedOperationException("a declaration");
        }
    }

    /** An argument of a function. */
    public static class WorkflowArgument {

        WorkflowArgument() {}

        /**
         * Returns what it is.
         *
         * @return the item
         */
        public WorkflowExpression.Item getItem() {
            throw new UnsupportedOperationException("a declaration");
        }

        /**
         * Computes it.
         *
         * @return its value
         */
        public CompletableFuture<WorkflowExpression.Item> evaluate() {
            throw new UnsupportedOperationException("a declaration");
        }
    }
}
