// SPDX-License-Identifier: Apache-2.0
//
// The kernels of SGMV for float16.
#include "sgmv_kernels.h"

DJL_LORA_KERNEL(sgmv_decode_shrink_f16, djl_lora::cuda::kDecodeThreads, 2) {
  djl_lora::cuda::DecodeShrink<djl_lora::cuda::Float16>(params);
}

DJL_LORA_KERNEL(sgmv_decode_expand_f16, djl_lora::cuda::kDecodeThreads, 2) {
  djl_lora::cuda::DecodeExpand<djl_lora::cuda::Float16>(params);
}

DJL_LORA_KERNEL(sgmv_decode_fused_f16, djl_lora::cuda::kDecodeThreads, 2) {
#ifdef DJL_LORA_CLUSTERS
  djl_lora::cuda::DecodeFused<djl_lora::cuda::Float16>(params);
#endif
}

DJL_LORA_KERNEL(sgmv_tile_shrink_f16, djl_lora::cuda::kTileThreads, 2) {
  djl_lora::cuda::TileShrink<djl_lora::cuda::Float16>(params);
}

DJL_LORA_KERNEL(sgmv_tile_expand_f16, djl_lora::cuda::kTileExpandThreads, 2) {
  djl_lora::cuda::TileExpand<djl_lora::cuda::Float16>(params);
}
