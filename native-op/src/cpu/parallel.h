// SPDX-License-Identifier: Apache-2.0
#ifndef DJL_LORA_CPU_PARALLEL_H_
#define DJL_LORA_CPU_PARALLEL_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>

namespace djl_lora {

// Threads worth waking for `work` multiply-adds: one for each 32,768 of them (some 10 microseconds), at most `threads`.
inline int UsefulThreads(int64_t work, int threads) {
  constexpr int64_t kWorkPerThread = 32768;
  return static_cast<int>(std::clamp<int64_t>(work / kWorkPerThread, 1, std::max(threads, 1)));
}

// Waits for another thread's work of microseconds: turns on the spot at first, then lets others have the core, for
// whoever is waited for may have lost its own.
class Waiter {
 public:
  void Wait() {
    if (++turns_ < 256) {
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
    } else {
      std::this_thread::yield();
    }
  }

 private:
  int turns_ = 0;
};

// How much of something is done that several threads do together.
class Progress {
 public:
  explicit Progress(int64_t total) : left_(total) {}

  void Done(int64_t part) { left_.fetch_sub(part, std::memory_order_release); }

  // Returns when all is done, and then what was written is seen.
  void Wait() const {
    Waiter waiter;
    while (left_.load(std::memory_order_acquire) != 0) {
      waiter.Wait();
    }
  }

 private:
  std::atomic<int64_t> left_;
};

}  // namespace djl_lora

#endif  // DJL_LORA_CPU_PARALLEL_H_
