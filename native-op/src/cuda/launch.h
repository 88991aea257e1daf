// SPDX-License-Identifier: Apache-2.0
//
// Launching a kernel.
#ifndef DJL_LORA_CUDA_LAUNCH_H_
#define DJL_LORA_CUDA_LAUNCH_H_

#include <array>
#include <cstdint>

#include "cuda/driver.h"
#include "cuda/images.h"

namespace djl_lora {

struct LaunchShape {
  std::array<uint32_t, 3> grid{1, 1, 1};
  std::array<uint32_t, 3> block{1, 1, 1};
  std::array<uint32_t, 3> cluster{1, 1, 1};  // blocks; other than 1 takes compute capability 9.0
  uint32_t shared_bytes = 0;                 // dynamic
  // Lets the kernel start before the one before it in the stream has ended; it must wait itself (griddepcontrol.wait)
  // before it reads what that one writes. Without effect where the device or the driver cannot.
  bool overlap = false;
};

// Starts a kernel in a stream; `arguments` are pointers to the kernel's arguments. The kernel's context must be
// current. Throws EngineError when the driver refuses. Allocates nothing and does not wait, so graphs can capture it.
void LaunchWithPointers(const Driver& driver, const Kernel& kernel, const LaunchShape& shape, CuStream stream,
                        void** arguments);

// The same with the arguments themselves, whose types must be those of the kernel's parameters: nothing converts them.
template <typename... Arguments>
void Launch(const Driver& driver, const Kernel& kernel, const LaunchShape& shape, CuStream stream,
            const Arguments&... arguments) {
  // one more, since an array has at least one element
  void* pointers[] = {const_cast<void*>(static_cast<const void*>(&arguments))..., nullptr};
  LaunchWithPointers(driver, kernel, shape, stream, pointers);
}

}  // namespace djl_lora

#endif  // DJL_LORA_CUDA_LAUNCH_H_
