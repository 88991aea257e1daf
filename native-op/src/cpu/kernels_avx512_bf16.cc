// SPDX-License-Identifier: Apache-2.0
#include "cpu/vector_avx512_bf16.h"

namespace djl_lora {

const KernelSet* Avx512Bf16Kernels() {
  static constexpr KernelSet kSets[] = {
      MakeKernels<Avx512, float>(),
      MakeKernels<Avx512, Float16>(),
      {Dot<Avx512Bf16, BFloat16, BFloat16>, Dot<Avx512, BFloat16, int8_t>, Intermediate::kSplit, FinishSplit,
       FinishFloat<Avx512>, Expand<Avx512Bf16, BFloat16>, StoreRows<Avx512, BFloat16>, 16,
       Attend<Avx512, BFloat16, BFloat16>, Attend<Avx512, BFloat16, int8_t>, Avx512::kAttendRows,
       RmsNormRow<Avx512, BFloat16>, SiluMul<Avx512, BFloat16>, nullptr, nullptr}};
  return kSets;
}

}  // namespace djl_lora
