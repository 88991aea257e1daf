// SPDX-License-Identifier: Apache-2.0
//
// What the layers need of a device.
#ifndef DJL_LORA_CUDA_LAYER_DEVICE_H_
#define DJL_LORA_CUDA_LAYER_DEVICE_H_

#include <cstdint>

#include "cpu/element.h"
#include "cuda/layer_launches.h"
#include "torch/tensor.h"

namespace djl_lora {

class LayerDevice {
 public:
  LayerDevice() = default;
  LayerDevice(const LayerDevice&) = delete;
  LayerDevice& operator=(const LayerDevice&) = delete;
  virtual ~LayerDevice() = default;

  // Where its tensors lie.
  virtual TensorPlace place() const = 0;
  // Starts a kernel behind what the calling thread has had libtorch compute there. `type`: one of the 16-bit types; of
  // no matter to kernels that work on float32 alone. Allocates nothing and does not wait.
  virtual void Launch(ElementType type, const cuda::LayerLaunch& launch) const = 0;
};

// The device with this number, as libtorch counts them, with its kernels loaded: by the first call that asks for it,
// and kept until the process ends. Throws EngineError where there is no driver, libtorch is a CPU build or no image of
// the kernels runs there, and ArgumentError where there is no such device.
const LayerDevice& CudaLayerDevice(int32_t index);

}  // namespace djl_lora

#endif  // DJL_LORA_CUDA_LAYER_DEVICE_H_
