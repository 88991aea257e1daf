// SPDX-License-Identifier: Apache-2.0
//
// How long kernels take on a device, so that the faster of two images can be chosen.
#ifndef DJL_LORA_OPS_KERNEL_TIMES_H_
#define DJL_LORA_OPS_KERNEL_TIMES_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "cuda/sgmv_device.h"

namespace djl_lora {

// A call of one row for each segment, with an adapter for each.
struct TimedCall {
  ElementType type;
  int64_t in;
  std::vector<int64_t> outs;  // of the modules that share x
  int64_t segments;
  int64_t rank;
  int64_t max_rank;  // that the call makes room for
};

// The medians of the times in microseconds that the device takes for the call, with one and with the other kernels. All
// memory is the function's own; the adapters lie in more memory than the second-level cache holds, and calls go through
// all of it. Waits for the device, and takes milliseconds. Throws ArgumentError where that takes more than half a GiB
// of adapters, and EngineError where the device fails.
std::pair<double, double> TimeKernels(const SgmvDevice& device, const TimedCall& call, const SgmvKernels& one,
                                      const SgmvKernels& other);

}  // namespace djl_lora

#endif  // DJL_LORA_OPS_KERNEL_TIMES_H_
