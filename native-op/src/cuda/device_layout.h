// SPDX-License-Identifier: Apache-2.0
//
// How an adapter lies in device memory: for each module A, B, out_scale and bias, each on a boundary of
// kPartAlignment, A's and B's rows padded with zeros so that the kernels can load many elements at once.
#ifndef DJL_LORA_CUDA_DEVICE_LAYOUT_H_
#define DJL_LORA_CUDA_DEVICE_LAYOUT_H_

#include <cstdint>

#include "cuda/kernels/abi.h"

namespace djl_lora::cuda {

// One adapter's share of one module as it comes, in 16-bit elements.
struct ModuleWeights {
  int64_t in = 0;
  int64_t out = 0;
  int64_t rank = 0;
  const uint16_t* a = nullptr;          // [rank, in]
  const uint16_t* b = nullptr;          // [out, rank]
  const uint16_t* out_scale = nullptr;  // [out], or null
  const uint16_t* bias = nullptr;       // [out], or null
  float scale = 0.0f;
};

// Bytes that a module takes; a multiple of kPartAlignment. Of the pointers only whether they are null is looked at.
int64_t DeviceModuleBytes(const ModuleWeights& weights);

// Writes a module to `host`, DeviceModuleBytes of them, and returns what the table is to hold once these bytes lie on
// the device, at `device`, a multiple of kPartAlignment.
DeviceModule PackDeviceModule(const ModuleWeights& weights, char* host, uint64_t device);

// What the table is to hold once the module's bytes have been moved by so many.
void ShiftDeviceModule(DeviceModule* module, int64_t bytes);

}  // namespace djl_lora::cuda

#endif  // DJL_LORA_CUDA_DEVICE_LAYOUT_H_
