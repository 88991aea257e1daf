// SPDX-License-Identifier: Apache-2.0
#ifndef DJL_LORA_CPU_ALIGNED_BUFFER_H_
#define DJL_LORA_CPU_ALIGNED_BUFFER_H_

#include <cstdint>
#include <memory>

namespace djl_lora {

// Memory for weights that kernels stream: starts on a cache line, and on huge pages where it is large enough for them
// and the system gives them.
class AlignedBuffer {
 public:
  static constexpr int64_t kAlignment = 64;

  AlignedBuffer() = default;
  // Throws std::bad_alloc. The bytes are not set.
  explicit AlignedBuffer(int64_t bytes);

  char* data() const { return data_.get(); }
  int64_t size() const { return size_; }

 private:
  struct Free {
    void operator()(char* data) const;
  };
  std::unique_ptr<char, Free> data_;
  int64_t size_ = 0;
};

// Asks the system for huge pages wherever a whole one lies within this memory, before it is first written.
void PreferHugePages(char* data, int64_t bytes);

// Gives the whole pages within this memory back to the system; what they held is lost, and they are taken again when
// they are next written. Returns how many bytes that were, 0 where the system cannot.
int64_t DiscardPages(char* data, int64_t bytes);

}  // namespace djl_lora

#endif  // DJL_LORA_CPU_ALIGNED_BUFFER_H_
