/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.serving.workflow.function;

import ai.djl.serving.wlm.WorkLoadManager;
import ai.djl.serving.workflow.Workflow;
import ai.djl.serving.workflow.WorkflowExpression;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/** A step of a workflow. */
public abstract class WorkflowFunction implements AutoCloseable {

    /** Declares the constructor. */
    public WorkflowFunction() {}

    /**
     * Runs it.
     *
     * @param executor runs other steps
     * @param args its arguments
     * @return its value
     */
    public abstract CompletableFuture<WorkflowExpression.Item> run(
            Workflow.WorkflowExecutor executor, List<Workflow.WorkflowArgument> args);

    /**
     * Is called when the workflow's models are loaded.
     *
     * @param wlm runs jobs
     * @param configs the workflow's configurations
     */
    public void prepare(WorkLoadManager wlm, Map<String, Map<String, Object>> configs) {
        throw new UnsupportedOperationException("a declaration");
    }

    /** {@inheritDoc} */
    @Override
    public void close() {
        throw new UnsupportedOperationException("a declaration");
    }
}
