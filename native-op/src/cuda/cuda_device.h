// SPDX-License-Identifier: Apache-2.0
//
// A GPU of NVIDIA's that libtorch computes on.
#ifndef DJL_LORA_CUDA_CUDA_DEVICE_H_
#define DJL_LORA_CUDA_CUDA_DEVICE_H_

#include <cstdint>
#include <memory>

#include "cuda/sgmv_device.h"

namespace djl_lora {

// The device with this number, as libtorch counts them, with its kernels loaded. Throws EngineError where there is no
// driver, libtorch is a CPU build or no image of the kernels runs there, and ArgumentError where there is no such
// device.
std::shared_ptr<const SgmvDevice> OpenCudaDevice(int32_t index);

}  // namespace djl_lora

#endif  // DJL_LORA_CUDA_CUDA_DEVICE_H_
