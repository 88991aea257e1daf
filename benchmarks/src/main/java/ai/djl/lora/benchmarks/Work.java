/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.benchmarks;

import ai.djl.lora.cli.bench.MachineLimit;
import ai.djl.lora.cli.bench.OperatorCandidate;
import ai.djl.lora.cli.bench.OperatorCase;
import ai.djl.lora.cli.bench.OperatorData;
import ai.djl.ndarray.NDManager;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** A candidate with a case in memory, whose modules are taken in turns. */
@State(Scope.Thread)
public class Work {

    /** The name of the case; see {@link CaseName}. */
    @Param("2048x2048-r16-t32-distinct")
    public String batch;

    /** What is measured. JMH sorts by name: so a case's candidates follow one another. */
    @Param public Candidate candidate;

    /** The weights to rotate through in MB, more than the last-level cache holds. */
    @Param("640")
    public int rotate;

    private NDManager manager;
    private OperatorCase operatorCase;
    private OperatorCandidate work;
    private MachineLimit machine;
    private int next;

    /** Makes the weights. */
    @Setup(Level.Trial)
    public void open() {
        operatorCase = CaseName.parse(batch);
        long rotation = (long) rotate << 20;
        manager = NDManager.newBaseManager(null, "PyTorch");
        OperatorData data = new OperatorData(candidate.type());
        machine = new MachineLimit(manager, data, rotation);
        int modules = operatorCase.modules(rotation, candidate.type());
        work = candidate.open(manager, data, operatorCase, modules);
    }

    /** Frees them. */
    @TearDown(Level.Trial)
    public void close() {
        work.close();
        machine.close();
        manager.close();
    }

    /** Adds the adapters' products for the next module to y. */
    void applyNext() {
        work.apply(next);
        next = next + 1 == work.modules() ? 0 : next + 1;
    }

    /** Returns the case. */
    OperatorCase operatorCase() {
        return operatorCase;
    }

    /** Returns the work that the machine is measured by. */
    MachineLimit machine() {
        return machine;
    }
}
