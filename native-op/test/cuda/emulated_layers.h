// SPDX-License-Identifier: Apache-2.0
//
// A device that runs the kernels of the layers by the emulator, on tensors in the host's memory.
#ifndef DJL_LORA_TEST_CUDA_EMULATED_LAYERS_H_
#define DJL_LORA_TEST_CUDA_EMULATED_LAYERS_H_

#include <cstdint>

#include "cuda/layer_device.h"

namespace djl_lora {

class EmulatedLayerDevice : public LayerDevice {
 public:
  explicit EmulatedLayerDevice(uint64_t seed = 1) : seed_(seed) {}

  TensorPlace place() const override { return kOnCpu; }
  void Launch(ElementType type, const cuda::LayerLaunch& launch) const override;

  mutable int launches = 0;

 private:
  uint64_t seed_;
};

}  // namespace djl_lora

#endif  // DJL_LORA_TEST_CUDA_EMULATED_LAYERS_H_
