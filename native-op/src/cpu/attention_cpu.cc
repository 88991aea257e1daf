// SPDX-License-Identifier: Apache-2.0
#include "cpu/attention_cpu.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "cpu/kernels.h"
#include "cpu/parallel.h"

namespace djl_lora {

namespace {

// Some rows of one sequence over one head of keys and values. Query heads of a group count as rows.
struct Part {
  int64_t sequence;
  int64_t head;
  int64_t first_row;  // of token · group + query head in the group
  int64_t rows;
  int64_t work;
};

std::vector<Part> Divide(const AttentionProblem& problem, int64_t most_rows) {
  const int64_t group = problem.heads / problem.pages.heads;
  std::vector<Part> parts;
  for (int64_t s = 0; s < problem.sequences; ++s) {
    const int64_t tokens = problem.row_starts[s + 1] - problem.row_starts[s];
    const int64_t past = problem.lengths[s] - tokens;
    for (int64_t row = 0; row < tokens * group; row += most_rows) {
      const int64_t rows = std::min(most_rows, tokens * group - row);
      const int64_t seen = past + (row + rows - 1) / group + 1;
      const int64_t keys = problem.window == 0 ? seen : std::min(seen, problem.window + rows);
      for (int64_t head = 0; head < problem.pages.heads; ++head) {
        parts.push_back({s, head, row, rows, keys * rows});
      }
    }
  }
  // the longest first, so that all threads end together
  std::stable_sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) { return a.work > b.work; });
  return parts;
}

// Elements of a head's keys in a page, and of its values.
int64_t HeadElements(const Pages& pages) { return (pages.dim + (pages.int8 ? kScaleBytes : 0)) * pages.positions; }

void Run(const AttentionProblem& problem, const Part& part, AttendFn attend) {
  const Pages& pages = problem.pages;
  const int64_t size = ElementSize(pages.type);
  const int64_t stored_size = pages.int8 ? 1 : size;
  const int64_t group = problem.heads / pages.heads;
  const int64_t row_start = problem.row_starts[part.sequence];
  const int64_t past = problem.lengths[part.sequence] - (problem.row_starts[part.sequence + 1] - row_start);
  const int64_t head_elements = HeadElements(pages);
  AttendTask task;
  task.rows = part.rows;
  task.dim = pages.dim;
  task.positions = pages.positions;
  task.page_stride = pages.heads * head_elements;
  task.keys = static_cast<const char*>(pages.keys) + part.head * head_elements * stored_size;
  task.values = static_cast<const char*>(pages.values) + part.head * head_elements * stored_size;
  task.page_table = problem.page_table + problem.page_starts[part.sequence];
  task.scale = problem.scale;
  for (int64_t r = 0; r < part.rows; ++r) {
    const int64_t token = (part.first_row + r) / group;
    const int64_t head = part.head * group + (part.first_row + r) % group;
    const int64_t row = row_start + token;
    task.q[r] = static_cast<const char*>(problem.q) + (row * problem.token_stride + head * problem.head_stride) * size;
    task.result[r] = static_cast<char*>(problem.result) + (row * problem.heads + head) * pages.dim * size;
    task.end[r] = past + token + 1;
    task.first[r] = problem.window == 0 ? 0 : std::max<int64_t>(0, task.end[r] - problem.window);
  }
  attend(task);
}

template <typename T>
void WriteHead(const KvWriteProblem& problem, int64_t token, int64_t head) {
  const Pages& pages = problem.pages;
  const int64_t dim = pages.dim;
  const int64_t page = problem.places[token] / pages.positions;
  const int64_t position = problem.places[token] % pages.positions;
  const int64_t start = (page * pages.heads + head) * dim * pages.positions;
  const T* k = static_cast<const T*>(problem.k) + token * problem.k_token_stride + head * problem.k_head_stride;
  const T* v = static_cast<const T*>(problem.v) + token * problem.v_token_stride + head * problem.v_head_stride;
  T* keys = static_cast<T*>(pages.keys) + start + position;
  if (problem.cos == nullptr) {
    for (int64_t d = 0; d < dim; ++d) {
      keys[d * pages.positions] = k[d];
    }
  } else {
    const int64_t half = dim / 2;
    const float* cos = problem.cos + token * half;
    const float* sin = problem.sin + token * half;
    for (int64_t i = 0; i < half; ++i) {
      const float first = ToFloat(k[i]);
      const float second = ToFloat(k[i + half]);
      keys[i * pages.positions] = FromFloat<T>(first * cos[i] - second * sin[i]);
      keys[(i + half) * pages.positions] = FromFloat<T>(second * cos[i] + first * sin[i]);
    }
  }
  std::copy(v, v + dim, static_cast<T*>(pages.values) + start + position * dim);
}

// Rounds numbers to integers, each `stride` behind the other. Returns the scale, which is the largest magnitude over
// 127 rounded up, so that none is beyond 127. Where one is not finite the scale is not a number, and so is what
// attends.
BFloat16 Round(const float* values, int64_t count, int8_t* target, int64_t stride) {
  uint32_t largest = 0;  // ordered as the magnitudes are, and what is not finite above all others
  for (int64_t i = 0; i < count; ++i) {
    largest = std::max(largest, FloatBits(values[i]) & 0x7fffffffu);
  }
  constexpr uint32_t kInfinity = 0x7f800000u;
  constexpr float kSmallest = 0x1p-126f;  // below it float32 has no inverse
  const float scale = largest < kInfinity ? BitsFloat(largest) / 127.0f : 0.0f;
  const uint32_t bits = scale < kSmallest ? 0 : (FloatBits(scale) + 0xffffu) >> 16;
  const float inverse = bits == 0 ? 0.0f : 1.0f / BitsFloat(bits << 16);
  constexpr float kRounder = 0x1.8p23f;  // what is added to it is rounded to an integer, which its lowest bits hold
  for (int64_t i = 0; i < count; ++i) {
    target[i * stride] = static_cast<int8_t>(FloatBits(values[i] * inverse + kRounder) - FloatBits(kRounder));
  }
  constexpr uint16_t kNan = 0x7fc0;
  return BFloat16{largest < kInfinity ? static_cast<uint16_t>(bits) : kNan};
}

template <typename T>
void WriteHeadInt8(const KvWriteProblem& problem, int64_t token, int64_t head) {
  const Pages& pages = problem.pages;
  const int64_t dim = pages.dim;
  const int64_t page = problem.places[token] / pages.positions;
  const int64_t position = problem.places[token] % pages.positions;
  const int64_t start = (page * pages.heads + head) * HeadElements(pages);
  const T* k = static_cast<const T*>(problem.k) + token * problem.k_token_stride + head * problem.k_head_stride;
  const T* v = static_cast<const T*>(problem.v) + token * problem.v_token_stride + head * problem.v_head_stride;
  float row[kMostHeadDim] = {};
  if (problem.cos == nullptr) {
    for (int64_t d = 0; d < dim; ++d) {
      row[d] = ToFloat(k[d]);
    }
  } else {
    const int64_t half = dim / 2;
    const float* cos = problem.cos + token * half;
    const float* sin = problem.sin + token * half;
    for (int64_t i = 0; i < half; ++i) {
      const float first = ToFloat(k[i]);
      const float second = ToFloat(k[i + half]);
      row[i] = first * cos[i] - second * sin[i];
      row[i + half] = second * cos[i] + first * sin[i];
    }
  }
  int8_t* keys = static_cast<int8_t*>(pages.keys) + start;
  const BFloat16 key_scale = Round(row, dim, keys + position, pages.positions);
  std::memcpy(keys + dim * pages.positions + position * kScaleBytes, &key_scale, sizeof(key_scale));
  for (int64_t d = 0; d < dim; ++d) {
    row[d] = ToFloat(v[d]);
  }
  int8_t* values = static_cast<int8_t*>(pages.values) + start + position * (dim + kScaleBytes);
  const BFloat16 value_scale = Round(row, dim, values, 1);
  std::memcpy(values + dim, &value_scale, sizeof(value_scale));
}

template <typename T>
void TurnQueries(const KvWriteProblem& problem, int64_t token) {
  const int64_t half = problem.pages.dim / 2;
  const float* cos = problem.cos + token * half;
  const float* sin = problem.sin + token * half;
  for (int64_t head = 0; head < problem.heads; ++head) {
    T* x1 = static_cast<T*>(problem.q) + token * problem.q_token_stride + head * problem.q_head_stride;
    T* x2 = x1 + half;
    for (int64_t i = 0; i < half; ++i) {
      const float first = ToFloat(x1[i]);
      const float second = ToFloat(x2[i]);
      x1[i] = FromFloat<T>(first * cos[i] - second * sin[i]);
      x2[i] = FromFloat<T>(second * cos[i] + first * sin[i]);
    }
  }
}

template <typename T>
void Write(const KvWriteProblem& problem, int threads) {
  const int64_t heads = 2 * problem.pages.heads + (problem.q == nullptr ? 0 : problem.heads);
  const int team = UsefulThreads(problem.tokens * heads * problem.pages.dim * 2, threads);
#pragma omp parallel for num_threads(team) if (team > 1)
  for (int64_t token = 0; token < problem.tokens; ++token) {
    if (problem.q != nullptr && problem.cos != nullptr) {
      TurnQueries<T>(problem, token);
    }
    for (int64_t head = 0; head < problem.pages.heads; ++head) {
      if (problem.pages.int8) {
        WriteHeadInt8<T>(problem, token, head);
      } else {
        WriteHead<T>(problem, token, head);
      }
    }
  }
}

}  // namespace

void AttentionCpu(const AttentionProblem& problem, int threads) {
  const KernelSet& kernels = Kernels(ActiveIsa(), problem.pages.type);
  const std::vector<Part> parts = Divide(problem, kernels.attend_rows);
  int64_t work = 0;
  for (const Part& part : parts) {
    work += part.work * problem.pages.dim * 2;
  }
  const int team = UsefulThreads(work, threads);
#pragma omp parallel for schedule(dynamic, 1) num_threads(team) if (team > 1)
  for (const Part& part : parts) {
    Run(problem, part, problem.pages.int8 ? kernels.attend_int8 : kernels.attend);
  }
}

void KvWriteCpu(const KvWriteProblem& problem, int threads) {
  switch (problem.pages.type) {
    case ElementType::kFloat32:
      Write<float>(problem, threads);
      break;
    case ElementType::kFloat16:
      Write<Float16>(problem, threads);
      break;
    case ElementType::kBFloat16:
      Write<BFloat16>(problem, threads);
      break;
    default:
      break;  // refused by the caller
  }
}

}  // namespace djl_lora
