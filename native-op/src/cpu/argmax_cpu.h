// SPDX-License-Identifier: Apache-2.0
#ifndef DJL_LORA_CPU_ARGMAX_CPU_H_
#define DJL_LORA_CPU_ARGMAX_CPU_H_

#include <cstdint>

namespace djl_lora {

constexpr int64_t kNotFinite = -1;
constexpr int64_t kAllNegativeInfinity = -2;

// The index of each row's greatest element in x [rows, columns], the lowest where there are several; kNotFinite where a
// row holds NaN or positive infinity, kAllNegativeInfinity where it holds negative infinity alone.
void ArgmaxCpu(const float* x, int64_t rows, int64_t columns, int64_t* indices, int threads);

}  // namespace djl_lora

#endif  // DJL_LORA_CPU_ARGMAX_CPU_H_
