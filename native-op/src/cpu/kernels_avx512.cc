// SPDX-License-Identifier: Apache-2.0
#include "cpu/vector_avx512.h"

namespace djl_lora {

const KernelSet* Avx512Kernels() {
  static constexpr KernelSet kSets[] = {MakeKernels<Avx512, float>(), MakeKernels<Avx512, Float16>(),
                                        MakeKernels<Avx512, BFloat16>()};
  return kSets;
}

}  // namespace djl_lora
