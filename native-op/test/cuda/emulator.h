// SPDX-License-Identifier: Apache-2.0
//
// Runs CUDA kernels on the host, so that they can be checked where there is no GPU: each thread of a block, or of a
// cluster of blocks, is a fiber, which runs until it waits for others. Barriers and exchanges between the lanes of a
// warp behave as on a GPU, where all threads must reach them: a kernel that would hang there ends here with an error.
// Threads run in a random order, so a missing barrier gives other results with another seed, and all memory is the
// host's, so AddressSanitizer sees every access. Nothing here tells about speed.
#ifndef DJL_LORA_TEST_CUDA_EMULATOR_H_
#define DJL_LORA_TEST_CUDA_EMULATOR_H_

#include <cstdint>
#include <functional>

namespace djl_lora::emulator {

struct Grid {
  unsigned blocks[3] = {1, 1, 1};
  unsigned threads = 32;  // of a block; a multiple of 32
  unsigned cluster = 1;   // blocks of a cluster, which divide blocks[0]
  unsigned shared_bytes = 0;
};

// Runs the kernel once for every thread. Throws std::runtime_error when some threads wait for what never comes.
void RunGrid(const Grid& grid, uint64_t seed, const std::function<void()>& kernel);

// What a kernel asks for; only to be called from one.
unsigned ThreadIndex();
unsigned ThreadCount();  // of a block
unsigned BlockIndex(int axis);
char* SharedMemory();
// The place in another block's shared memory that corresponds to one in this block's.
const void* InBlock(const void* own, unsigned block);
void SyncBlock();
bool AnyInBlock(bool condition);  // a barrier; whether any thread of the block brought true
void ArriveAtCluster();
void WaitForCluster();

// Copies that are made only when the thread waits for them, so that a wait too few is found: what it reads is then not
// there yet. A null source is zeros. Groups end with a commit; to wait is for all but the `latest` ones.
void CopyLater(void* target, const void* source, unsigned bytes);
void CommitCopies();
void WaitForCopies(unsigned latest);

// An exchange between the 32 lanes of a warp. Each gives its operands and gets its results; `compute` is called once,
// when all have arrived. All lanes must take part.
constexpr unsigned kLanes = 32;
constexpr unsigned kOperands = 10;
constexpr unsigned kResults = 4;
struct Exchange {
  uint32_t operands[kLanes][kOperands];
  uint32_t results[kLanes][kResults];
};
using Compute = void (*)(Exchange* exchange);
void ExchangeInWarp(const uint32_t* operands, unsigned operand_count, Compute compute, uint32_t* results,
                    unsigned result_count);

}  // namespace djl_lora::emulator

#endif  // DJL_LORA_TEST_CUDA_EMULATOR_H_
