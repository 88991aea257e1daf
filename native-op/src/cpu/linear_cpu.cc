// SPDX-License-Identifier: Apache-2.0
#include "cpu/linear_cpu.h"

#include <omp.h>

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

// Runs body(problem, begin, end, of) over the outputs of all problems, which have one x, on as many threads as are
// worth it. Each thread begins with prepare(thread), of which `of` is the result, and ends with `next`, if that is not
// null.
template <typename Prepare, typename Body>
void OverOutputs(const std::vector<LinearProblem>& problems, int team, NextWork* next, const Prepare& prepare,
                 const Body& body) {
  const LinearProblem& first = problems[0];
  std::vector<int64_t> starts = {0};
  for (const LinearProblem& problem : problems) {
    starts.push_back(starts.back() + problem.out);
  }
  const int64_t total = starts.back();
  Progress results(total);
  std::atomic<int64_t> taken{0};
  const auto work = [&](int thread) {
    const auto of = prepare(thread);
    int64_t begin = taken.load(std::memory_order_relaxed);
    while (begin < total) {
      const int64_t end = team == 1 ? total : std::min(begin + NextRows(first, total - begin, team), total);
      if (!taken.compare_exchange_weak(begin, end, std::memory_order_relaxed)) {
        continue;
      }
      for (size_t i = 0; i < problems.size(); ++i) {
        const int64_t from = std::max(begin, starts[i]);
        const int64_t to = std::min(end, starts[i + 1]);
        if (from < to) {
          body(problems[i], from - starts[i], to - starts[i], of);
        }
      }
      results.Done(end - begin);
      begin = taken.load(std::memory_order_relaxed);
    }
    if (next != nullptr) {
      next->Work(results);
    }
  };
  if (next != nullptr) {
    next->Begin(team);
  }
  if (team == 1) {
    work(0);
    return;
  }
#pragma omp parallel num_threads(team)
  work(omp_get_thread_num());
}

// The threads for some of the rows of the problems, and for `next` behind them.
int Team(const std::vector<LinearProblem>& problems, int64_t rows, const NextWork* next, int threads) {
  int64_t operations = next == nullptr ? 0 : next->Operations();
  for (const LinearProblem& problem : problems) {
    operations += rows * problem.in * problem.out;
  }
  return UsefulThreads(operations, threads);
}

// Up to this many rows one by one are as fast as packed ones, which take some preparation.
constexpr int64_t kFewRows = 4;

// Each thread packs the rows of x for itself: that takes as long as to wait for another to do it, and they then lie in
// its own caches.
void PackedLinear(const std::vector<LinearProblem>& problems, const KernelSet& kernels, NextWork* next, int threads) {
  const LinearProblem& first = problems[0];
  const int64_t size = ElementSize(first.type);
  const int64_t packed_bytes = PackedRowsElements(std::min(first.rows, kMostTokens), first.in) * size;
  const int most = Team(problems, std::min(first.rows, kMostTokens), next, threads);
  AlignedBuffer packed(packed_bytes * most);
  for (int64_t row = 0; row < first.rows; row += kMostTokens) {
    const int64_t tokens = std::min(kMostTokens, first.rows - row);
    NextWork* const then = row + tokens == first.rows ? next : nullptr;
    const auto pack = [&](int thread) -> const char* {
      char* own = packed.data() + thread * packed_bytes;
      kernels.pack_rows(static_cast<const char*>(first.x) + row * first.x_stride * size, first.x_stride, tokens,
                        first.in, own);
      return own;
    };
    OverOutputs(problems, std::min(most, Team(problems, tokens, then, threads)), then, pack,
                [&](const LinearProblem& problem, int64_t begin, int64_t end, const char* x) {
                  kernels.packed_linear(
                      {x, tokens, problem.in, problem.weight, problem.weight_stride, begin, end, problem.bias,
                       static_cast<char*>(problem.result) + row * problem.result_stride * size, problem.result_stride});
                });
  }
}

}  // namespace

void LinearCpu(const std::vector<LinearProblem>& problems, NextWork* next, int threads) {
  const LinearProblem& first = problems[0];
  const KernelSet& packed = LongKernels(ActiveIsa(), first.type);
  if (packed.packed_linear != nullptr && !first.int8 && first.rows > kFewRows) {
    PackedLinear(problems, packed, next, threads);
    return;
  }
  const KernelSet& kernels = Kernels(ActiveIsa(), first.type);
  OverOutputs(
      problems, Team(problems, first.rows, next, threads), next, [](int) { return 0; },
      [&](const LinearProblem& problem, int64_t begin, int64_t end, int) { Rows(problem, kernels, begin, end); });
}

void LinearCpu(const std::vector<LinearProblem>& problems, int threads) { LinearCpu(problems, nullptr, threads); }

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
