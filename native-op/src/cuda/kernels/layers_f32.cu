// SPDX-License-Identifier: Apache-2.0
//
// What works on float32, whatever the model's type.
#include "layers.h"

DJL_LORA_KERNEL_OF(ArgmaxParams, layers_decode_argmax_f32, djl_lora::cuda::kArgmaxThreads, 4) {
  djl_lora::cuda::Argmax(params);
}
