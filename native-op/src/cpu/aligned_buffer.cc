// SPDX-License-Identifier: Apache-2.0
#include "cpu/aligned_buffer.h"

#include <cstdlib>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace djl_lora {

AlignedBuffer::AlignedBuffer(int64_t bytes) : size_(bytes) {
  constexpr int64_t kHugePage = 2 << 20;
  const int64_t alignment = bytes >= kHugePage ? kHugePage : kAlignment;
  void* data = nullptr;
  if (posix_memalign(&data, static_cast<size_t>(alignment), static_cast<size_t>(bytes > 0 ? bytes : 1)) != 0) {
    throw std::bad_alloc();
  }
  data_.reset(static_cast<char*>(data));
#if defined(__linux__)
  if (bytes >= kHugePage) {
    // only whole huge pages: the rest of the last one may belong to somebody else; that it is refused does not matter
    static_cast<void>(madvise(data, static_cast<size_t>(bytes / kHugePage * kHugePage), MADV_HUGEPAGE));
  }
#endif
}

void AlignedBuffer::Free::operator()(char* data) const { std::free(data); }

}  // namespace djl_lora
