// SPDX-License-Identifier: Apache-2.0
#ifndef DJL_LORA_CPU_READ_ALL_H_
#define DJL_LORA_CPU_READ_ALL_H_

#include <cstdint>

namespace djl_lora {

// Reads `bytes` at `data` with as many threads, each in pieces that it takes in turn, and returns a sum of them: what a
// kernel that does nothing but read would do. Its time is the limit that memory sets to every other kernel.
uint64_t ReadAll(const void* data, int64_t bytes, int threads);

}  // namespace djl_lora

#endif  // DJL_LORA_CPU_READ_ALL_H_
