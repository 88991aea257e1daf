// SPDX-License-Identifier: Apache-2.0
//
// What this machine can do, measured in the same run as what is held against it.
#ifndef DJL_LORA_BENCH_MACHINE_H_
#define DJL_LORA_BENCH_MACHINE_H_

#include <cstdint>

namespace djl_lora {

double Now();  // seconds

// Memory that is read in turn, so much of it that no cache keeps it until it is read again.
class Pool {
 public:
  // Filled with small bfloat16 numbers, which are also harmless as other types.
  explicit Pool(int64_t bytes);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  char* data() const { return data_; }
  int64_t size() const { return size_; }
  // The next `bytes` of it.
  const char* Next(int64_t bytes);

 private:
  char* data_;
  int64_t size_;
  int64_t next_ = 0;
};

// Seconds to read `bytes` at `data` with as many threads: what a kernel that does
// nothing but read would take.
double ReadSeconds(const char* data, int64_t bytes, int threads);

}  // namespace djl_lora

#endif  // DJL_LORA_BENCH_MACHINE_H_
