// SPDX-License-Identifier: Apache-2.0
#include "cpu/linear_cpu.h"

#include <algorithm>
#include <atomic>

#include "cpu/kernels.h"
#include "cpu/parallel.h"

namespace djl_lora {

namespace {

// Rows of the weight that a thread takes next: much while much is left, so that it reads long pieces, and less towards
// the end, so that all end together.
int64_t NextRows(const LinearProblem& problem, int64_t left, int team) {
  constexpr int64_t kLeastBytes = 32768;
  constexpr int64_t kMostBytes = 1 << 20;
  const int64_t row_bytes = std::max<int64_t>(problem.in * (problem.int8 ? 1 : ElementSize(problem.type)), 1);
  const int64_t rows = std::clamp(left / (int64_t{3} * team), kLeastBytes / row_bytes, kMostBytes / row_bytes);
  return std::max<int64_t>(rows / kChunkRows * kChunkRows, kChunkRows);
}

void Rows(const LinearProblem& problem, const KernelSet& kernels, int64_t begin, int64_t end) {
  const int64_t size = ElementSize(problem.type);
  const int64_t weight_size = problem.int8 ? 1 : size;
  alignas(64) float dots[kMostTokens * kChunkRows];
  for (int64_t token = 0; token < problem.rows; token += kernels.chunk_tokens) {
    const int64_t tokens = std::min(kernels.chunk_tokens, problem.rows - token);
    const char* x = static_cast<const char*>(problem.x) + token * problem.x_stride * size;
    for (int64_t o = begin; o < end; o += kChunkRows) {
      const int64_t rows = std::min(kChunkRows, end - o);
      (problem.int8 ? kernels.dot_int8
                    : kernels.dot)({x, problem.x_stride, tokens,
                                    static_cast<const char*>(problem.weight) + o * problem.weight_stride * weight_size,
                                    problem.weight_stride, rows, problem.in, dots, end - o - rows});
      kernels.store({dots, tokens, rows, problem.scale == nullptr ? nullptr : problem.scale + o,
                     problem.bias == nullptr ? nullptr : static_cast<const char*>(problem.bias) + o * size,
                     static_cast<char*>(problem.result) + (token * problem.result_stride + o) * size,
                     problem.result_stride});
    }
  }
}

}  // namespace

void LinearCpu(const LinearProblem& problem, int threads) {
  const KernelSet& kernels = Kernels(ActiveIsa(), problem.type);
  const int team = UsefulThreads(problem.rows * problem.in * problem.out, threads);
  if (team == 1) {
    Rows(problem, kernels, 0, problem.out);
    return;
  }
  std::atomic<int64_t> next{0};
#pragma omp parallel num_threads(team)
  {
    int64_t begin = next.load(std::memory_order_relaxed);
    while (begin < problem.out) {
      const int64_t end = std::min(begin + NextRows(problem, problem.out - begin, team), problem.out);
      if (next.compare_exchange_weak(begin, end, std::memory_order_relaxed)) {
        Rows(problem, kernels, begin, end);
        begin = next.load(std::memory_order_relaxed);
      }
    }
  }
}

int64_t LinearCrossover(int64_t in) {
  if (in <= 1024) {
    return 8;
  }
  return in <= 2048 ? 6 : 4;
}

}  // namespace djl_lora
