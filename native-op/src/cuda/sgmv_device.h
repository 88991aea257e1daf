// SPDX-License-Identifier: Apache-2.0
//
// What the SGMV operators need of a device.
#ifndef DJL_LORA_CUDA_SGMV_DEVICE_H_
#define DJL_LORA_CUDA_SGMV_DEVICE_H_

#include "cpu/element.h"
#include "cuda/sgmv_launches.h"
#include "torch/tensor.h"

namespace djl_lora {

class SgmvDevice {
 public:
  SgmvDevice() = default;
  SgmvDevice(const SgmvDevice&) = delete;
  SgmvDevice& operator=(const SgmvDevice&) = delete;
  virtual ~SgmvDevice() = default;

  // Where its tensors lie.
  virtual TensorPlace place() const = 0;
  // Whether blocks can share their memory in clusters.
  virtual bool clusters() const = 0;
  // Starts a kernel behind what the calling thread has had libtorch compute there. `type`: one of the 16-bit types.
  // Allocates nothing and does not wait.
  virtual void Launch(ElementType type, const cuda::KernelLaunch& launch, const cuda::SgmvParams& params) const = 0;
};

}  // namespace djl_lora

#endif  // DJL_LORA_CUDA_SGMV_DEVICE_H_
