// SPDX-License-Identifier: Apache-2.0
#include "machine.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace djl_lora {

namespace {

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define DJL_LORA_CLONES __attribute__((target_clones("avx512f", "avx2", "default"), optimize("O3")))
#else
#define DJL_LORA_CLONES
#endif

// Sums that the compiler cannot leave out; eight at once, so that loads need not wait for additions.
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

double Now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

Pool::Pool(int64_t bytes) : size_(bytes) {
  constexpr int64_t kHugePage = 2 << 20;
  void* data = nullptr;
  if (posix_memalign(&data, kHugePage, static_cast<size_t>(bytes)) != 0) {
    throw std::bad_alloc();
  }
  data_ = static_cast<char*>(data);
#if defined(__linux__)
  static_cast<void>(madvise(data, static_cast<size_t>(bytes), MADV_HUGEPAGE));
#endif
  uint32_t random = 1;
  for (int64_t i = 0; i + 2 <= bytes; i += 2) {
    random = random * 1664525u + 1013904223u;
    // 2^-7 times ±(1 to 2)
    const uint16_t value = static_cast<uint16_t>(0x3c00u | ((random >> 16) & 0x807fu));
    std::memcpy(data_ + i, &value, sizeof(value));
  }
}

Pool::~Pool() { std::free(data_); }

const char* Pool::Next(int64_t bytes) {
  if (next_ + bytes > size_) {
    next_ = 0;
  }
  const char* result = data_ + next_;
  next_ += bytes;
  return result;
}

double ReadSeconds(const char* data, int64_t bytes, int threads) {
  constexpr int64_t kPiece = 65536;
  static std::atomic<uint64_t> sink{0};
  std::atomic<int64_t> next{0};
  const double start = Now();
#pragma omp parallel num_threads(threads)
  {
    uint64_t sum = 0;
    for (;;) {
      const int64_t begin = next.fetch_add(kPiece, std::memory_order_relaxed);
      if (begin >= bytes) {
        break;
      }
      sum += Sum(reinterpret_cast<const uint64_t*>(data + begin), std::min(kPiece, bytes - begin) / 8);
    }
    sink.fetch_add(sum, std::memory_order_relaxed);
  }
  return Now() - start;
}

}  // namespace djl_lora
