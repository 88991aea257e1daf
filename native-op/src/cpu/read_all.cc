// SPDX-License-Identifier: Apache-2.0
#include "cpu/read_all.h"

#include <algorithm>
#include <atomic>

namespace djl_lora {

namespace {

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define DJL_LORA_CLONES __attribute__((target_clones("avx512f", "avx2", "default"), optimize("O3")))
#else
#define DJL_LORA_CLONES
#endif

// Sums that the compiler cannot leave out; eight vectors at once, so that loads need not wait for additions.
DJL_LORA_CLONES uint64_t Sum(const uint64_t* words, int64_t count) {
  uint64_t sums[64] = {};
  for (int64_t i = 0; i + 64 <= count; i += 64) {
    for (int j = 0; j < 64; j += 8) {
      __builtin_prefetch(words + i + j + 512, 0, 2);
    }
    for (int j = 0; j < 64; ++j) {
      sums[j] += words[i + j];
    }
  }
  uint64_t sum = 0;
  for (const uint64_t part : sums) {
    sum += part;
  }
  return sum;
}

}  // namespace

uint64_t ReadAll(const void* data, int64_t bytes, int threads) {
  constexpr int64_t kPiece = 65536;
  std::atomic<uint64_t> total{0};
  std::atomic<int64_t> next{0};
#pragma omp parallel num_threads(threads)
  {
    uint64_t sum = 0;
    for (;;) {
      const int64_t begin = next.fetch_add(kPiece, std::memory_order_relaxed);
      if (begin >= bytes) {
        break;
      }
      const char* piece = static_cast<const char*>(data) + begin;
      sum += Sum(reinterpret_cast<const uint64_t*>(piece), std::min(kPiece, bytes - begin) / 8);
    }
    total.fetch_add(sum, std::memory_order_relaxed);
  }
  return total.load(std::memory_order_relaxed);
}

}  // namespace djl_lora
