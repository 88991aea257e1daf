// SPDX-License-Identifier: Apache-2.0
//
// That the emulator finds what goes wrong on a GPU.
#include "cuda/emulator.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>
#include <stdexcept>
#include <vector>

namespace djl_lora::emulator {
namespace {

TEST(EmulatorTest, RunsEveryThreadOfEveryBlockOnce) {
  std::vector<int> runs(3 * 2 * 2 * 64);
  RunGrid({{3, 2, 2}, 64, 1, 0}, 1, [&] {
    const unsigned block = BlockIndex(0) + 3 * (BlockIndex(1) + 2 * BlockIndex(2));
    ++runs[block * 64 + ThreadIndex()];
  });
  EXPECT_EQ(std::vector<int>(runs.size(), 1), runs);
}

TEST(EmulatorTest, LetsBlocksOfAClusterReadEachOthersMemory) {
  std::vector<int> read(4);
  RunGrid({{4, 1, 1}, 32, 2, 4}, 1, [&] {
    int* own = reinterpret_cast<int*>(SharedMemory());
    if (ThreadIndex() == 0) {
      *own = static_cast<int>(BlockIndex(0)) + 10;
    }
    ArriveAtCluster();
    WaitForCluster();
    if (ThreadIndex() == 0) {
      read[BlockIndex(0)] = *static_cast<const int*>(InBlock(own, 1 - BlockIndex(0) % 2));
    }
  });
  EXPECT_EQ((std::vector<int>{11, 10, 13, 12}), read);
}

TEST(EmulatorTest, EndsWhereThreadsWouldWaitForEver) {
  const auto barrier_in_a_branch = [] {
    if (ThreadIndex() < 32) {
      SyncBlock();
    }
  };
  EXPECT_THROW(RunGrid({{1, 1, 1}, 64, 1, 0}, 1, barrier_in_a_branch), std::runtime_error);
  const auto lanes_that_left = [] {
    if (ThreadIndex() % 2 == 0) {
      uint32_t value = 0;
      ExchangeInWarp(
          &value, 1, [](Exchange*) {}, &value, 1);
    }
  };
  EXPECT_THROW(RunGrid({{1, 1, 1}, 32, 1, 0}, 1, lanes_that_left), std::runtime_error);
}

TEST(EmulatorTest, ShowsAMissingBarrierByResultsThatDependOnTheSeed) {
  const auto results = [](bool barrier) {
    std::set<int> sums;
    for (uint64_t seed = 0; seed < 20; ++seed) {
      int sum = 0;
      RunGrid({{1, 1, 1}, 64, 1, 64 * sizeof(int)}, seed, [&] {
        int* shared = reinterpret_cast<int*>(SharedMemory());
        shared[ThreadIndex()] = 1;
        if (barrier) {
          SyncBlock();
        }
        if (ThreadIndex() == 0) {
          sum = std::accumulate(shared, shared + 64, 0);  // memory that nobody has written holds -1
        }
      });
      sums.insert(sum);
    }
    return sums;
  };
  EXPECT_EQ(std::set<int>{64}, results(true));
  EXPECT_GT(results(false).size(), 1u);
}

}  // namespace
}  // namespace djl_lora::emulator
