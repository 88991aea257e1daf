// SPDX-License-Identifier: Apache-2.0
#include "machine.h"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>

#include "cpu/read_all.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace djl_lora {

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
  static std::atomic<uint64_t> sink{0};
  const double start = Now();
  sink.fetch_add(ReadAll(data, bytes, threads), std::memory_order_relaxed);
  return Now() - start;
}

}  // namespace djl_lora
