// SPDX-License-Identifier: Apache-2.0
//
// What the SGMV operators need of a device.
#ifndef DJL_LORA_CUDA_SGMV_DEVICE_H_
#define DJL_LORA_CUDA_SGMV_DEVICE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "cpu/element.h"
#include "cuda/sgmv_launches.h"
#include "torch/tensor.h"

namespace djl_lora {

// The kernels of one element type, loaded for one device.
class SgmvKernels {
 public:
  SgmvKernels() = default;
  SgmvKernels(const SgmvKernels&) = delete;
  SgmvKernels& operator=(const SgmvKernels&) = delete;
  virtual ~SgmvKernels() = default;

  // Whether blocks can share their memory in clusters, there and in these kernels.
  virtual bool clusters() const = 0;
  // Starts a kernel behind what the calling thread has had libtorch compute there. Allocates nothing and does not wait.
  virtual void Launch(const cuda::KernelLaunch& launch, const cuda::SgmvParams& params) const = 0;
};

class SgmvDevice {
 public:
  SgmvDevice() = default;
  SgmvDevice(const SgmvDevice&) = delete;
  SgmvDevice& operator=(const SgmvDevice&) = delete;
  virtual ~SgmvDevice() = default;

  // Where its tensors lie.
  virtual TensorPlace place() const = 0;
  virtual int64_t l2_bytes() const = 0;
  // The kernels that this library carries for one of the 16-bit types. Throws EngineError, with the reason, where none
  // suits the device or loads there.
  virtual std::shared_ptr<const SgmvKernels> Embedded(ElementType type) const = 0;
  // Those of an image that was compiled elsewhere: machine code, or PTX with a zero behind it. It is not needed
  // afterwards. What is loaded goes with the result, once the device has ended all that it was given. Throws
  // EngineError where the image does not load or lacks a kernel.
  virtual std::shared_ptr<const SgmvKernels> Load(ElementType type, const void* image) const = 0;
  // The time in microseconds that the device takes for what `work` launches. Waits; throws EngineError while a graph is
  // captured.
  virtual double Time(const std::function<void()>& work) const = 0;
};

}  // namespace djl_lora

#endif  // DJL_LORA_CUDA_SGMV_DEVICE_H_
