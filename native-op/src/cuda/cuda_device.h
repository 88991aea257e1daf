// SPDX-License-Identifier: Apache-2.0
//
// A GPU of NVIDIA's that libtorch computes on.
#ifndef DJL_LORA_CUDA_CUDA_DEVICE_H_
#define DJL_LORA_CUDA_CUDA_DEVICE_H_

#include <cstdint>
#include <functional>
#include <memory>

#include "cuda/driver.h"
#include "cuda/images.h"
#include "cuda/sgmv_device.h"

namespace djl_lora {

// The device with this number, as libtorch counts them. Throws EngineError where there is no driver or libtorch is a
// CPU build, and ArgumentError where there is no such device.
std::shared_ptr<const SgmvDevice> OpenCudaDevice(int32_t index);

// The same with a driver, kernels that live as long, and the stream to launch on.
std::shared_ptr<const SgmvDevice> OpenCudaDevice(const Driver& driver, KernelCache* kernels, int32_t index,
                                                 std::function<CuStream()> stream);

}  // namespace djl_lora

#endif  // DJL_LORA_CUDA_CUDA_DEVICE_H_
