// SPDX-License-Identifier: Apache-2.0
//
// Streams and events of the emulated driver: work that is done in its order by a thread for each stream.
#ifndef DJL_LORA_TEST_EMULATED_CUDA_STREAMS_H_
#define DJL_LORA_TEST_EMULATED_CUDA_STREAMS_H_

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace djl_lora::emulated {

// That a piece of work has been done. Anybody may wait for it.
class Completion {
 public:
  void Set();
  bool done() const;
  void Wait() const;
  // Only to be asked when it is done.
  std::chrono::steady_clock::time_point time() const { return time_; }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool done_ = false;
  std::chrono::steady_clock::time_point time_;
};

using CompletionPtr = std::shared_ptr<Completion>;

// A queue and the thread that works it off, which begins with the first piece of work.
class Stream {
 public:
  Stream(int device, bool blocking, int priority) : device_(device), blocking_(blocking), priority_(priority) {}

  int device() const { return device_; }
  // Whether it and the default stream wait for each other.
  bool blocking() const { return blocking_; }
  int priority() const { return priority_; }

  // Adds work that begins when all before it and all of `after` is done.
  static CompletionPtr Add(const std::shared_ptr<Stream>& stream, std::vector<CompletionPtr> after,
                           std::function<void()> work);
  // What was added last; done where there is none.
  CompletionPtr last();
  // Lets the thread end when it has done everything.
  void Close();

 private:
  struct Work {
    std::vector<CompletionPtr> after;
    std::function<void()> run;
    CompletionPtr done;
  };

  void Run();

  const int device_;
  const bool blocking_;
  const int priority_;
  std::mutex mutex_;
  std::condition_variable added_;
  std::deque<Work> queue_;
  CompletionPtr last_;
  bool started_ = false;
  bool closed_ = false;
};

}  // namespace djl_lora::emulated

#endif  // DJL_LORA_TEST_EMULATED_CUDA_STREAMS_H_
