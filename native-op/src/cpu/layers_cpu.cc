// SPDX-License-Identifier: Apache-2.0
#include "cpu/layers_cpu.h"

#include <algorithm>

#include "cpu/kernels.h"
#include "cpu/parallel.h"

namespace djl_lora {

namespace {

template <typename T>
void Rotary(const RotaryProblem& problem, int threads) {
  const int team = UsefulThreads(problem.tokens * problem.heads * problem.half * 4, threads);
#pragma omp parallel for num_threads(team) if (team > 1)
  for (int64_t token = 0; token < problem.tokens; ++token) {
    const float* cos = problem.cos + token * problem.cos_stride;
    const float* sin = problem.sin + token * problem.sin_stride;
    for (int64_t head = 0; head < problem.heads; ++head) {
      T* x1 = static_cast<T*>(problem.x) + token * problem.token_stride + head * problem.head_stride;
      T* x2 = x1 + problem.half;
      for (int64_t i = 0; i < problem.half; ++i) {
        const float first = ToFloat(x1[i]);
        const float second = ToFloat(x2[i]);
        x1[i] = FromFloat<T>(first * cos[i] - second * sin[i]);
        x2[i] = FromFloat<T>(second * cos[i] + first * sin[i]);
      }
    }
  }
}

}  // namespace

void RmsNormCpu(const RmsNormProblem& problem, int threads) {
  const NormFn norm = Kernels(ActiveIsa(), problem.type).norm;
  const int64_t row_bytes = problem.size * ElementSize(problem.type);
  const auto row = [&](const void* first, int64_t index) {
    return first == nullptr ? nullptr : static_cast<const char*>(first) + index * row_bytes;
  };
  const int team = UsefulThreads(problem.rows * problem.size, threads);
#pragma omp parallel for num_threads(team) if (team > 1)
  for (int64_t i = 0; i < problem.rows; ++i) {
    norm({problem.size, static_cast<char*>(problem.x) + i * row_bytes, row(problem.delta, i), problem.weight,
          static_cast<float>(problem.epsilon), static_cast<char*>(problem.result) + i * row_bytes});
  }
}

void SiluMulCpu(const SiluMulProblem& problem, int threads) {
  const SiluMulFn silu_mul = Kernels(ActiveIsa(), problem.type).silu_mul;
  constexpr int64_t kPiece = 4096;
  const int64_t pieces = (problem.count + kPiece - 1) / kPiece;
  const int64_t size = ElementSize(problem.type);
  const int team = UsefulThreads(problem.count * 8, threads);
#pragma omp parallel for num_threads(team) if (team > 1)
  for (int64_t i = 0; i < pieces; ++i) {
    const int64_t first = i * kPiece;
    silu_mul(static_cast<const char*>(problem.gate) + first * size, static_cast<const char*>(problem.up) + first * size,
             static_cast<char*>(problem.result) + first * size, std::min(kPiece, problem.count - first));
  }
}

void RotaryCpu(const RotaryProblem& problem, int threads) {
  switch (problem.type) {
    case ElementType::kFloat32:
      Rotary<float>(problem, threads);
      break;
    case ElementType::kFloat16:
      Rotary<Float16>(problem, threads);
      break;
    case ElementType::kBFloat16:
      Rotary<BFloat16>(problem, threads);
      break;
    default:
      break;  // refused by the caller
  }
}

}  // namespace djl_lora
