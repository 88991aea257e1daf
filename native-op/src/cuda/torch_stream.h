// SPDX-License-Identifier: Apache-2.0
//
// libtorch's own CUDA stream. The function that tells it lies in libtorch_cuda.so, which CPU builds lack, so it is
// looked for in what the process has loaded.
#ifndef DJL_LORA_CUDA_TORCH_STREAM_H_
#define DJL_LORA_CUDA_TORCH_STREAM_H_

#include <cstdint>

#include "cuda/driver_c.h"

namespace djl_lora {

// aoti_torch_get_current_cuda_stream
using TorchStreamFunction = int32_t (*)(int32_t device_index, void** stream);

// Throws EngineError where the library is not loaded or has no such function.
TorchStreamFunction FindTorchStreamFunction(const char* library);

// Whether the libtorch of this process is a CUDA build.
bool TorchHasCuda();

// The stream on which libtorch computes in the calling thread. Throws EngineError where libtorch is a CPU build.
CuStream CurrentTorchStream(int32_t device_index);

}  // namespace djl_lora

#endif  // DJL_LORA_CUDA_TORCH_STREAM_H_
