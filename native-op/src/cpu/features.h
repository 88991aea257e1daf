// SPDX-License-Identifier: Apache-2.0
#ifndef DJL_LORA_CPU_FEATURES_H_
#define DJL_LORA_CPU_FEATURES_H_

#include <string>

namespace djl_lora {

// The instruction sets of this CPU that matter to the kernels and that the operating system has switched on, by name
// with a space between: some of avx2 fma f16c avx512f avx512dq avx512bw avx512vl avx512_vnni avx512_bf16 avx512_fp16
// amx_tile amx_bf16 amx_int8. Asked of the CPU once.
const std::string& CpuFeatures();

bool CpuIsAmd();

}  // namespace djl_lora

#endif  // DJL_LORA_CPU_FEATURES_H_
