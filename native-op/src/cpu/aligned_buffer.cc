// SPDX-License-Identifier: Apache-2.0
#include "cpu/aligned_buffer.h"

#include <cstdlib>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace djl_lora {

namespace {

constexpr int64_t kHugePage = 2 << 20;

}  // namespace

void PreferHugePages(char* data, int64_t bytes) {
#if defined(__linux__)
  // only whole huge pages: the rest of the first and the last may belong to somebody else
  const int64_t skipped = -static_cast<int64_t>(reinterpret_cast<uintptr_t>(data)) & (kHugePage - 1);
  const int64_t whole = (bytes - skipped) / kHugePage * kHugePage;
  if (whole > 0) {
    static_cast<void>(madvise(data + skipped, static_cast<size_t>(whole), MADV_HUGEPAGE));  // or without, if refused
  }
#endif
}

int64_t DiscardPages(char* data, int64_t bytes) {
#if defined(__linux__)
  const int64_t page = sysconf(_SC_PAGESIZE);
  const int64_t skipped = -static_cast<int64_t>(reinterpret_cast<uintptr_t>(data)) & (page - 1);
  const int64_t whole = (bytes - skipped) / page * page;
  if (whole > 0 && madvise(data + skipped, static_cast<size_t>(whole), MADV_DONTNEED) == 0) {
    return whole;
  }
#else
  static_cast<void>(data);
  static_cast<void>(bytes);
#endif
  return 0;
}

AlignedBuffer::AlignedBuffer(int64_t bytes) : size_(bytes) {
  const int64_t alignment = bytes >= kHugePage ? kHugePage : kAlignment;
  void* data = nullptr;
  if (posix_memalign(&data, static_cast<size_t>(alignment), static_cast<size_t>(bytes > 0 ? bytes : 1)) != 0) {
    throw std::bad_alloc();
  }
  data_.reset(static_cast<char*>(data));
  PreferHugePages(data_.get(), bytes);
}

void AlignedBuffer::Free::operator()(char* data) const { std::free(data); }

}  // namespace djl_lora
