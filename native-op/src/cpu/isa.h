// SPDX-License-Identifier: Apache-2.0
//
// Which kernels run: the best that this CPU has, or the ones that a test or DJL_LORA_ISA asks for.
#ifndef DJL_LORA_CPU_ISA_H_
#define DJL_LORA_CPU_ISA_H_

#include <string>
#include <vector>

namespace djl_lora {

enum class Isa {
  kPortable,
  kAvx2,        // with FMA and F16C
  kAvx512,      // F, BW, DQ and VL
  kAvx512Bf16,  // and dot products of bfloat16 pairs
  kAmx,         // kAvx512, and bfloat16 tiles for long segments
};

const char* IsaName(Isa isa);

// The kernels that can run here, the slowest first.
const std::vector<Isa>& SupportedIsas();

// The kernels in use. Read once from the environment variable DJL_LORA_ISA (portable, avx2, avx512, avx512_bf16 or amx)
// when that names one that can run here; else chosen by the CPU.
Isa ActiveIsa();

// Changes the kernels for the whole process; for tests and measurements, while no kernel runs.
void SetActiveIsa(Isa isa);

}  // namespace djl_lora

#endif  // DJL_LORA_CPU_ISA_H_
