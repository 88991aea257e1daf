// SPDX-License-Identifier: Apache-2.0
#include "cpu/linear_cpu.h"

#include <algorithm>
#include <atomic>

#include "cpu/kernels.h"
#include "cpu/parallel.h"

namespace djl_lora {

namespace {

// Rows of the weight that one item takes: some 64 KB, which a core reads in some microseconds and which then lie in its
// cache for further rows of x.
int64_t ItemRows(const LinearProblem& problem, int team) {
  constexpr int64_t kItemBytes = 65536;
  const int64_t row_bytes = std::max<int64_t>(problem.in * (problem.int8 ? 1 : ElementSize(problem.type)), 1);
  const int64_t even_share = problem.out / (8 * team);
  const int64_t rows = std::min(kItemBytes / row_bytes, even_share);
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
      (problem.int8 ? kernels.dot_int8 : kernels.dot)(
          {x, problem.x_stride, tokens, static_cast<const char*>(problem.weight) + o * problem.weight_stride * weight_size,
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
  const int64_t step = ItemRows(problem, team);
  std::atomic<int64_t> next{0};
#pragma omp parallel num_threads(team)
  {
    for (;;) {
      const int64_t begin = next.fetch_add(step, std::memory_order_relaxed);
      if (begin >= problem.out) {
        break;
      }
      Rows(problem, kernels, begin, std::min(begin + step, problem.out));
    }
  }
}

int64_t LinearCrossover(ElementType type) {
  static_cast<void>(type);
  return 4;
}

}  // namespace djl_lora
