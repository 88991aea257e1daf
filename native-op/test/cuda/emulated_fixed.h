// SPDX-License-Identifier: Apache-2.0
//
// The kernels as an image that was compiled at run time has them: for DJL_LORA_RANK and DJL_LORA_HIDDEN, which the file
// that includes this defines. They are in a namespace of their own, since one program has those of several shapes.
#include "cpu/element.h"
#include "cuda/emulated_kernels.h"
#include "cuda/emulator.h"

#define DJL_LORA_JOIN_NAMES(a, b) a##b
#define DJL_LORA_JOIN(a, b) DJL_LORA_JOIN_NAMES(a, b)
#define DJL_LORA_FIXED DJL_LORA_JOIN(djl_lora_rank, DJL_LORA_RANK)

namespace DJL_LORA_FIXED {
using djl_lora::BFloat16;
using djl_lora::BitsFloat;
using djl_lora::Float16;
using djl_lora::FloatBits;
using djl_lora::FromFloat;
using djl_lora::ToFloat;
namespace emulator = djl_lora::emulator;
namespace cuda {
using namespace djl_lora::cuda;  // what the kernels share with the host
}
}  // namespace DJL_LORA_FIXED

#include "cuda/emulated_run.h"

namespace djl_lora::cuda {

const FixedImage DJL_LORA_JOIN(kFixedImageRank, DJL_LORA_RANK) = {DJL_LORA_RANK, DJL_LORA_HIDDEN, RunHere};

static_assert(DJL_LORA_FIXED::cuda::kFixedShape, "the kernels have a way of their own for this shape");

}  // namespace djl_lora::cuda
