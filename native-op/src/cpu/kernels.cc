// SPDX-License-Identifier: Apache-2.0
#include "cpu/kernels.h"

namespace djl_lora {

const KernelSet& Kernels(Isa isa, ElementType type) {
  const KernelSet* sets = PortableKernels();
#if defined(__x86_64__)
  switch (isa) {
    case Isa::kAvx2:
      sets = Avx2Kernels();
      break;
    case Isa::kAvx512:
    case Isa::kAmx:
      sets = Avx512Kernels();
      break;
    case Isa::kAvx512Bf16:
      sets = Avx512Bf16Kernels();
      break;
    case Isa::kPortable:
      break;
  }
#else
  static_cast<void>(isa);
#endif
  return sets[static_cast<int>(type)];
}

const KernelSet& LongKernels(Isa isa, ElementType type) {
#if defined(__x86_64__)
  if (isa == Isa::kAmx && type == ElementType::kBFloat16) {
    return *AmxKernels();
  }
#endif
  return Kernels(isa, type);
}

}  // namespace djl_lora
