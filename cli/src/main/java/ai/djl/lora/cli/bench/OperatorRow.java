/*
 * SPDX-License-Identifier: Apache-2.0
 */
package ai.djl.lora.cli.bench;

import com.google.gson.annotations.SerializedName;

/**
 * One measured case.
 *
 * @param name what the case shows
 * @param in the module's inputs
 * @param out the module's outputs
 * @param rank the rank
 * @param tokens the number of rows
 * @param adapters the number of adapters that rows chose from
 * @param popularity how they chose
 * @param micros the median time of a call in microseconds
 * @param bytes what must move
 * @param operations the floating-point operations
 * @param readGbPerSecond the machine's read bandwidth, from the same run
 * @param gflopsPerSecond the machine's bfloat16 matmul rate, from the same run
 * @param shareOfLimit the time that bandwidth or rate, whichever is slower, would take over the
 *     time that was taken
 * @param speedupOverLoop how many times as long two ATen matmuls for each adapter took; NaN where
 *     not measured
 */
record OperatorRow(
        String name,
        int in,
        int out,
        int rank,
        int tokens,
        int adapters,
        String popularity,
        double micros,
        long bytes,
        long operations,
        @SerializedName("read_gb_per_second") double readGbPerSecond,
        @SerializedName("gflops_per_second") double gflopsPerSecond,
        @SerializedName("share_of_limit") double shareOfLimit,
        @SerializedName("speedup_over_loop") double speedupOverLoop) {}
