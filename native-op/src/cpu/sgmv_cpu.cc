// SPDX-License-Identifier: Apache-2.0
#include "cpu/sgmv_cpu.h"

#include <omp.h>

#include <algorithm>
#include <vector>

#include "cpu/parallel.h"

namespace djl_lora {

namespace {

constexpr int64_t kOutputBlock = 64;

// A product of n elements in float32. The lanes fix the order of the sum, so that it is the same on every thread and
// the compiler may still use vector instructions.
template <int kLanes, typename T, typename U>
inline float Dot(const T* a, const U* b, int64_t n) {
  float lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
#pragma omp simd
    for (int lane = 0; lane < kLanes; ++lane) {
      lanes[lane] += ToFloat(a[i + lane]) * ToFloat(b[i + lane]);
    }
  }
  for (int lane = 0; i < n; ++i, ++lane) {
    lanes[lane] += ToFloat(a[i]) * ToFloat(b[i]);
  }
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int lane = 0; lane < half; ++lane) {
      lanes[lane] += lanes[lane + half];
    }
  }
  return lanes[0];
}

// Where a segment's share of the two passes starts, in work items and in the intermediate.
struct SegmentWork {
  int64_t down_item;     // first (token, rank row) of A x
  int64_t up_item;       // first (token, block of outputs) of the update
  int64_t intermediate;  // first float of [tokens of the segment, rank]
};

template <typename T>
class Sgmv {
 public:
  explicit Sgmv(const SgmvProblem& problem)
      : problem_(problem),
        output_blocks_((problem.out + kOutputBlock - 1) / kOutputBlock),
        work_(static_cast<size_t>(problem.segment_count) + 1) {
    SegmentWork next{0, 0, 0};
    for (int64_t s = 0; s < problem.segment_count; ++s) {
      work_[s] = next;
      const SgmvSegment& segment = problem.segments[s];
      const int64_t tokens = segment.end - segment.begin;
      const int64_t rank = segment.module == nullptr ? 0 : segment.module->rank;
      next.down_item += tokens * rank;
      next.intermediate += tokens * rank;
      if (segment.module != nullptr || problem.bias != nullptr) {  // else y is already what it should be
        next.up_item += tokens * output_blocks_;
      }
    }
    work_[problem.segment_count] = next;
    intermediate_.resize(static_cast<size_t>(next.intermediate));
  }

  void Run(int threads) {
    const SegmentWork& total = work_.back();
    if (total.up_item == 0) {
      return;
    }
    const int64_t operations =
        total.down_item * (problem_.in + problem_.out) + total.up_item * std::min(problem_.out, kOutputBlock);
    const int team = UsefulThreads(operations, threads);
    if (team == 1) {
      Down(0, total.down_item);
      Up(0, total.up_item);
      return;
    }
#pragma omp parallel num_threads(team)
    {
      const int64_t thread = omp_get_thread_num();
      const int64_t count = omp_get_num_threads();
      Down(total.down_item * thread / count, total.down_item * (thread + 1) / count);
#pragma omp barrier
      Up(total.up_item * thread / count, total.up_item * (thread + 1) / count);
    }
  }

 private:
  // The segment that holds a work item: the last that starts at or before it.
  int64_t Find(int64_t SegmentWork::*start, int64_t item) const {
    auto after = std::upper_bound(work_.begin(), work_.end(), item,
                                  [start](int64_t value, const SegmentWork& work) { return value < work.*start; });
    return (after - work_.begin()) - 1;
  }

  // intermediate = A x, one item for each token and row of A.
  void Down(int64_t item, int64_t end) {
    if (item >= end) {
      return;
    }
    for (int64_t s = Find(&SegmentWork::down_item, item); item < end; ++s) {
      const SgmvSegment& segment = problem_.segments[s];
      const int64_t first = work_[s].down_item;
      const int64_t last = std::min(end, work_[s + 1].down_item);
      if (item >= last) {
        continue;
      }
      const int64_t rank = segment.module->rank;
      const T* a = static_cast<const T*>(segment.module->a);
      for (; item < last; ++item) {
        const int64_t token = segment.begin + (item - first) / rank;
        const int64_t row = (item - first) % rank;
        const T* x = static_cast<const T*>(problem_.x) + token * problem_.x_stride;
        intermediate_[work_[s].intermediate + (item - first)] = Dot<16>(a + row * problem_.in, x, problem_.in);
      }
    }
  }

  // y = out_scale * (y + scale * B intermediate) + bias, one item for each token and block of outputs.
  void Up(int64_t item, int64_t end) {
    if (item >= end) {
      return;
    }
    for (int64_t s = Find(&SegmentWork::up_item, item); item < end; ++s) {
      const int64_t first = work_[s].up_item;
      const int64_t last = std::min(end, work_[s + 1].up_item);
      for (; item < last; ++item) {
        const int64_t token = (item - first) / output_blocks_;
        const int64_t begin = (item - first) % output_blocks_ * kOutputBlock;
        UpBlock(s, token, begin, std::min(begin + kOutputBlock, problem_.out));
      }
    }
  }

  void UpBlock(int64_t s, int64_t token, int64_t begin, int64_t end) {
    static const AdapterModule kBase;
    const SgmvSegment& segment = problem_.segments[s];
    const AdapterModule& module = segment.module == nullptr ? kBase : *segment.module;
    const int64_t rank = module.rank;
    const T* b = static_cast<const T*>(module.b);
    const T* out_scale = static_cast<const T*>(module.out_scale);
    const T* bias = static_cast<const T*>(module.bias == nullptr ? problem_.bias : module.bias);
    const float* down = intermediate_.data() + work_[s].intermediate + token * rank;
    T* y = static_cast<T*>(problem_.y) + (segment.begin + token) * problem_.y_stride;
    float values[kOutputBlock];
    const int64_t count = end - begin;
    for (int64_t o = 0; o < count; ++o) {
      values[o] = ToFloat(y[begin + o]);
    }
    if (rank > 0) {
      for (int64_t o = 0; o < count; ++o) {
        values[o] += module.scale * Dot<8>(b + (begin + o) * rank, down, rank);
      }
    }
    if (out_scale != nullptr) {
      for (int64_t o = 0; o < count; ++o) {
        values[o] *= ToFloat(out_scale[begin + o]);
      }
    }
    if (bias != nullptr) {
      for (int64_t o = 0; o < count; ++o) {
        values[o] += ToFloat(bias[begin + o]);
      }
    }
    for (int64_t o = 0; o < count; ++o) {
      y[begin + o] = FromFloat<T>(values[o]);
    }
  }

  const SgmvProblem& problem_;
  const int64_t output_blocks_;
  std::vector<SegmentWork> work_;
  std::vector<float> intermediate_;
};

}  // namespace

void SgmvCpu(const SgmvProblem& problem, int threads) {
  switch (problem.type) {
    case ElementType::kFloat32:
      Sgmv<float>(problem).Run(threads);
      break;
    case ElementType::kFloat16:
      Sgmv<Float16>(problem).Run(threads);
      break;
    case ElementType::kBFloat16:
      Sgmv<BFloat16>(problem).Run(threads);
      break;
    default:
      break;  // refused by the caller
  }
}

}  // namespace djl_lora
