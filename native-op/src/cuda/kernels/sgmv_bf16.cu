// SPDX-License-Identifier: Apache-2.0
//
// The kernels of SGMV for bfloat16.
#include "sgmv_kernels.h"

DJL_LORA_KERNEL(sgmv_decode_shrink_bf16, djl_lora::cuda::kDecodeThreads, 2) {
  djl_lora::cuda::DecodeShrink<djl_lora::cuda::BFloat16>(params);
}

DJL_LORA_KERNEL(sgmv_decode_expand_bf16, djl_lora::cuda::kDecodeThreads, 2) {
  djl_lora::cuda::DecodeExpand<djl_lora::cuda::BFloat16>(params);
}

DJL_LORA_KERNEL(sgmv_decode_fused_bf16, djl_lora::cuda::kDecodeThreads, 2) {
#ifdef DJL_LORA_CLUSTERS
  djl_lora::cuda::DecodeFused<djl_lora::cuda::BFloat16>(params);
#endif
}

DJL_LORA_KERNEL(sgmv_tile_shrink_bf16, djl_lora::cuda::kTileThreads, 2) {
  djl_lora::cuda::TileShrink<djl_lora::cuda::BFloat16>(params);
}

DJL_LORA_KERNEL(sgmv_tile_expand_bf16, djl_lora::cuda::kTileExpandThreads, 2) {
  djl_lora::cuda::TileExpand<djl_lora::cuda::BFloat16>(params);
}
