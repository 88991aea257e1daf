// SPDX-License-Identifier: Apache-2.0
//
// Paged attention for float16.
#include "attention.h"

// blocks: that are to fit on a multiprocessor.
#define DJL_LORA_ATTENTION(dim, blocks)                                                                              \
  DJL_LORA_KERNEL_OF(AttentionParams, attention_decode_##dim##_f16, djl_lora::cuda::AttentionThreads(dim), blocks) { \
    djl_lora::cuda::Attend<djl_lora::cuda::Float16, dim>(params);                                                    \
  }

DJL_LORA_ATTENTION(64, 3)
DJL_LORA_ATTENTION(80, 3)
DJL_LORA_ATTENTION(96, 3)
DJL_LORA_ATTENTION(128, DJL_LORA_ATTENTION_BLOCKS_128)
DJL_LORA_ATTENTION(256, 2)

DJL_LORA_KERNEL_OF(AttentionParams, attention_decode_combine_f16, djl_lora::cuda::kCombineThreads, 4) {
  djl_lora::cuda::Combine<djl_lora::cuda::Float16>(params);
}

DJL_LORA_KERNEL_OF(AttentionParams, attention_decode_plain_f16, djl_lora::cuda::kPlainThreads, 4) {
  djl_lora::cuda::AttendPlain<djl_lora::cuda::Float16>(params);
}

#undef DJL_LORA_ATTENTION
