// SPDX-License-Identifier: Apache-2.0
#include "cpu/argmax_cpu.h"

#include <algorithm>

#include "cpu/parallel.h"

namespace djl_lora {

namespace {

constexpr int64_t kBlock = 256;
constexpr int64_t kLanes = 16;
constexpr float kInfinity = __builtin_inff();

// The greatest of a block, or infinity if it holds NaN.
float Greatest(const float* x, int64_t count) {
  float lanes[kLanes];
  int32_t bad[kLanes] = {};
  std::fill(lanes, lanes + kLanes, -kInfinity);
  const auto take = [&](float value, int64_t lane) {
    lanes[lane] = value > lanes[lane] ? value : lanes[lane];
    bad[lane] |= static_cast<int32_t>(value != value);
  };
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
#pragma omp simd
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      take(x[i + lane], lane);
    }
  }
  for (; i < count; ++i) {
    take(x[i], 0);
  }
  if (std::any_of(bad, bad + kLanes, [](int32_t value) { return value != 0; })) {
    return kInfinity;
  }
  return *std::max_element(lanes, lanes + kLanes);
}

int64_t Argmax(const float* x, int64_t columns) {
  float greatest = -kInfinity;
  int64_t block = 0;
  for (int64_t first = 0; first < columns; first += kBlock) {
    const float here = Greatest(x + first, std::min(kBlock, columns - first));
    if (here > greatest) {
      greatest = here;
      block = first;
    }
  }
  if (greatest == -kInfinity) {
    return kAllNegativeInfinity;
  }
  return greatest == kInfinity ? kNotFinite : std::find(x + block, x + columns, greatest) - x;
}

}  // namespace

void ArgmaxCpu(const float* x, int64_t rows, int64_t columns, int64_t* indices, int threads) {
  const int team = UsefulThreads(rows * columns / 4, threads);
#pragma omp parallel for num_threads(team) if (team > 1)
  for (int64_t row = 0; row < rows; ++row) {
    indices[row] = Argmax(x + row * columns, columns);
  }
}

}  // namespace djl_lora
