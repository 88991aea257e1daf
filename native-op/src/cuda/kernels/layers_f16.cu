// SPDX-License-Identifier: Apache-2.0
//
// The small layers for float16.
#include "layers.h"

DJL_LORA_KERNEL_OF(NormParams, layers_decode_rms_norm_f16, djl_lora::cuda::kMaxNormThreads, 1) {
  djl_lora::cuda::RmsNorm<djl_lora::cuda::Float16>(params);
}

DJL_LORA_KERNEL_OF(SiluMulParams, layers_decode_silu_mul_f16, djl_lora::cuda::kSiluMulThreads, 4) {
  djl_lora::cuda::SiluMul<djl_lora::cuda::Float16>(params);
}

DJL_LORA_KERNEL_OF(KvWriteParams, layers_decode_kv_write_f16, djl_lora::cuda::kKvWriteThreads, 8) {
  djl_lora::cuda::KvWrite<djl_lora::cuda::Float16>(params);
}
