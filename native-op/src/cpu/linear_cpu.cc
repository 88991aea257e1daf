// SPDX-License-Identifier: Apache-2.0
#include "cpu/linear_cpu.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "cpu/aligned_buffer.h"
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
  constexpr int64_t kRows = 2 * kChunkRows;  // which kernels of tiles take at a time
  return std::max<int64_t>(rows / kRows * kRows, kRows);
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

// Runs body(problem, begin, end) over the outputs of all problems, which have one x, on as many threads as are worth
// it.
template <typename Body>
void OverOutputs(const std::vector<LinearProblem>& problems, int threads, const Body& body) {
  const LinearProblem& first = problems[0];
  std::vector<int64_t> starts = {0};
  for (const LinearProblem& problem : problems) {
    starts.push_back(starts.back() + problem.out);
  }
  const int64_t total = starts.back();
  const auto run = [&](int64_t begin, int64_t end) {
    for (size_t i = 0; i < problems.size(); ++i) {
      const int64_t from = std::max(begin, starts[i]);
      const int64_t to = std::min(end, starts[i + 1]);
      if (from < to) {
        body(problems[i], from - starts[i], to - starts[i]);
      }
    }
  };
  const int team = UsefulThreads(first.rows * first.in * total, threads);
  if (team == 1) {
    run(0, total);
    return;
  }
  std::atomic<int64_t> next{0};
#pragma omp parallel num_threads(team)
  {
    int64_t begin = next.load(std::memory_order_relaxed);
    while (begin < total) {
      const int64_t end = std::min(begin + NextRows(first, total - begin, team), total);
      if (next.compare_exchange_weak(begin, end, std::memory_order_relaxed)) {
        run(begin, end);
        begin = next.load(std::memory_order_relaxed);
      }
    }
  }
}

// Up to this many rows one by one are as fast as packed ones, which take some preparation.
constexpr int64_t kFewRows = 4;

void PackedLinear(const std::vector<LinearProblem>& problems, const KernelSet& kernels, int threads) {
  const LinearProblem& first = problems[0];
  const int64_t size = ElementSize(first.type);
  AlignedBuffer packed(PackedRowsElements(std::min(first.rows, kMostTokens), first.in) * size);
  for (int64_t row = 0; row < first.rows; row += kMostTokens) {
    const int64_t tokens = std::min(kMostTokens, first.rows - row);
    kernels.pack_rows(static_cast<const char*>(first.x) + row * first.x_stride * size, first.x_stride, tokens, first.in,
                      packed.data());
    OverOutputs(problems, threads, [&](const LinearProblem& problem, int64_t begin, int64_t end) {
      kernels.packed_linear({packed.data(), tokens, problem.in, problem.weight, problem.weight_stride, begin, end,
                             problem.bias, static_cast<char*>(problem.result) + row * problem.result_stride * size,
                             problem.result_stride});
    });
  }
}

}  // namespace

void LinearCpu(const std::vector<LinearProblem>& problems, int threads) {
  const LinearProblem& first = problems[0];
  const KernelSet& packed = LongKernels(ActiveIsa(), first.type);
  if (packed.packed_linear != nullptr && !first.int8 && first.rows > kFewRows) {
    PackedLinear(problems, packed, threads);
    return;
  }
  const KernelSet& kernels = Kernels(ActiveIsa(), first.type);
  OverOutputs(problems, threads,
              [&](const LinearProblem& problem, int64_t begin, int64_t end) { Rows(problem, kernels, begin, end); });
}

int64_t LinearCrossover(ElementType type, int64_t in) {
  if (LongKernels(ActiveIsa(), type).packed_linear != nullptr) {
    return kMostTokens;
  }
  if (in <= 1024) {
    return 8;
  }
  return in <= 2048 ? 6 : 4;
}

}  // namespace djl_lora
