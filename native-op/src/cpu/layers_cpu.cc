// SPDX-License-Identifier: Apache-2.0
#include "cpu/layers_cpu.h"

#include <cmath>

#include "cpu/parallel.h"

namespace djl_lora {

namespace {

constexpr int kLanes = 16;

template <typename T>
float SumOfSquares(const T* x, int64_t size) {
  float lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
#pragma omp simd
    for (int lane = 0; lane < kLanes; ++lane) {
      const float value = ToFloat(x[i + lane]);
      lanes[lane] += value * value;
    }
  }
  for (int lane = 0; i < size; ++i, ++lane) {
    const float value = ToFloat(x[i]);
    lanes[lane] += value * value;
  }
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int lane = 0; lane < half; ++lane) {
      lanes[lane] += lanes[lane + half];
    }
  }
  return lanes[0];
}

template <typename T>
void RmsNorm(const RmsNormProblem& problem, int threads) {
  const T* weight = static_cast<const T*>(problem.weight);
  const int team = UsefulThreads(problem.rows * problem.size * 2, threads);
#pragma omp parallel for num_threads(team) if (team > 1)
  for (int64_t row = 0; row < problem.rows; ++row) {
    const T* x = static_cast<const T*>(problem.x) + row * problem.size;
    T* result = static_cast<T*>(problem.result) + row * problem.size;
    const float mean = SumOfSquares(x, problem.size) / static_cast<float>(problem.size);
    const float factor = 1.0f / std::sqrt(mean + static_cast<float>(problem.epsilon));
    for (int64_t i = 0; i < problem.size; ++i) {
      const float normalised = ToFloat(FromFloat<T>(ToFloat(x[i]) * factor));
      result[i] = FromFloat<T>(ToFloat(weight[i]) * normalised);
    }
  }
}

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
  switch (problem.type) {
    case ElementType::kFloat32:
      RmsNorm<float>(problem, threads);
      break;
    case ElementType::kFloat16:
      RmsNorm<Float16>(problem, threads);
      break;
    case ElementType::kBFloat16:
      RmsNorm<BFloat16>(problem, threads);
      break;
    default:
      break;  // refused by the caller
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
