// SPDX-License-Identifier: Apache-2.0
#include "emulated_cuda/streams.h"

#include <thread>
#include <utility>

namespace djl_lora::emulated {

void Completion::Set() {
  const std::lock_guard<std::mutex> lock(mutex_);
  time_ = std::chrono::steady_clock::now();
  done_ = true;
  changed_.notify_all();
}

bool Completion::done() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return done_;
}

void Completion::Wait() const {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [this] { return done_; });
}

CompletionPtr Stream::Add(const std::shared_ptr<Stream>& stream, std::vector<CompletionPtr> after,
                          std::function<void()> work) {
  auto done = std::make_shared<Completion>();
  const std::lock_guard<std::mutex> lock(stream->mutex_);
  stream->queue_.push_back({std::move(after), std::move(work), done});
  stream->last_ = done;
  stream->added_.notify_one();
  if (!stream->started_) {
    stream->started_ = true;
    // Nobody waits for it: the process may end in the middle of work, as it may with a GPU.
    std::thread([stream] { stream->Run(); }).detach();
  }
  return done;
}

CompletionPtr Stream::last() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (last_ == nullptr) {
    last_ = std::make_shared<Completion>();
    last_->Set();
  }
  return last_;
}

void Stream::Close() {
  const std::lock_guard<std::mutex> lock(mutex_);
  closed_ = true;
  added_.notify_one();
}

void Stream::Run() {
  while (true) {
    Work work;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      added_.wait(lock, [this] { return closed_ || !queue_.empty(); });
      if (queue_.empty()) {
        return;
      }
      work = std::move(queue_.front());
      queue_.pop_front();
    }
    for (const CompletionPtr& each : work.after) {
      each->Wait();
    }
    work.run();
    work.done->Set();
  }
}

}  // namespace djl_lora::emulated
