// SPDX-License-Identifier: Apache-2.0
//
// In the place of libtorch's header of this name, of which Punica's kernels take only the current stream: so they
// compile without libtorch, and run on the stream that their caller names.
#pragma once

#include <cuda_runtime.h>

namespace at::cuda {

inline thread_local cudaStream_t the_stream = nullptr;

inline cudaStream_t getCurrentCUDAStream() { return the_stream; }

}  // namespace at::cuda
