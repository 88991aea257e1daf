// SPDX-License-Identifier: Apache-2.0
//
// Attention of a few rows over one head's pages, written over a vector type V of 16 floats; see kernels_impl.h for what
// may stand here. Scores of a span of positions at a time, the softmax put together span by span (Milakov and
// Gimelshein, "Online normalizer calculation for softmax", 2018), all in float32.
#ifndef DJL_LORA_CPU_ATTENTION_IMPL_H_
#define DJL_LORA_CPU_ATTENTION_IMPL_H_

#include <cstring>
#include <type_traits>

#include "cpu/attention_cpu.h"
#include "cpu/exp.h"
#include "cpu/kernels.h"
#include "cpu/up_to_16.h"

namespace djl_lora {
namespace {  // NOLINT(google-build-namespaces): each instruction set's file has a copy of its own

inline constexpr int64_t kSpan = 128;  // positions whose scores are kept; a multiple of kPageUnit
inline constexpr float kNothing = -__builtin_inff();

// Keys and values are of type S, activations of T; see Pages for those in 8 bits.
template <typename S>
inline constexpr bool kScaled = std::is_same_v<S, int8_t>;

// Elements from a position's value to the next one's.
template <typename S>
DJL_LORA_INLINE int64_t ValueStride(const AttendTask& task) {
  return kScaled<S> ? task.dim + kScaleBytes : task.dim;
}

// The keys of a unit of positions.
template <typename S>
DJL_LORA_INLINE const S* KeysOf(const AttendTask& task, int64_t position) {
  return static_cast<const S*>(task.keys) + task.page_table[position / task.positions] * task.page_stride +
         position % task.positions;
}

// The scores of one span: scores[r][i] for the position `from` + i, of whole units. Pages lie anywhere, and each is too
// short for the hardware to foresee: so the next unit's keys and this one's values, which are read soon, are asked for
// meanwhile.
template <typename V, typename S, int kRows>
DJL_LORA_INLINE void Scores(const AttendTask& task, const float* q, int64_t from, int64_t units,
                            float (*scores)[kSpan]) {
  for (int64_t u = 0; u < units; ++u) {
    const int64_t position = from + u * kPageUnit;
    const S* keys = KeysOf<S>(task, position);
    const S* next_keys = u + 1 < units ? KeysOf<S>(task, position + kPageUnit) : keys;
    const S* values = static_cast<const S*>(task.values) +
                      task.page_table[position / task.positions] * task.page_stride +
                      position % task.positions * ValueStride<S>(task);
    typename V::Vec sums[kRows];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      sums[r] = V::Zero();
    }
    for (int64_t d = 0; d < task.dim; ++d) {
      __builtin_prefetch(next_keys + d * task.positions, 0, 3);
      __builtin_prefetch(values + d * kPageUnit, 0, 3);
      const typename V::Vec key = V::Load(keys + d * task.positions);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        sums[r] = V::MulAdd(key, V::Set(q[d * kRows + r]), sums[r]);
      }
    }
    if constexpr (kScaled<S>) {
      BFloat16 scales[kPageUnit];
      const int64_t inside = position % task.positions;
      std::memcpy(scales, keys - inside + task.dim * task.positions + inside * kScaleBytes, sizeof(scales));
      const typename V::Vec factors = V::Load(scales);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        sums[r] = V::Mul(sums[r], factors);
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      V::Store(scores[r] + u * kPageUnit, sums[r]);
    }
  }
}

// Turns a row of scores into weights against the greatest one so far. Returns by what the sums so far shrink.
DJL_LORA_INLINE float Weigh(float* scores, int64_t units, float* greatest, float* sum) {
  float lanes[kPageUnit];
  for (int64_t i = 0; i < kPageUnit; ++i) {
    lanes[i] = scores[i];
  }
  for (int64_t u = 1; u < units; ++u) {
    for (int64_t i = 0; i < kPageUnit; ++i) {
      const float score = scores[u * kPageUnit + i];
      lanes[i] = lanes[i] > score ? lanes[i] : score;
    }
  }
  float most = *greatest;
  for (int64_t i = 0; i < kPageUnit; ++i) {
    most = most > lanes[i] ? most : lanes[i];
  }
  if (most == kNothing) {  // this row sees none of the span, nor of those before
    for (int64_t i = 0; i < units * kPageUnit; ++i) {
      scores[i] = 0.0f;
    }
    return 1.0f;
  }
  for (float& lane : lanes) {
    lane = 0.0f;
  }
  for (int64_t u = 0; u < units; ++u) {
    float* unit = scores + u * kPageUnit;
    for (int64_t i = 0; i < kPageUnit; ++i) {
      unit[i] = ExpOfNegative(unit[i] - most);
      lanes[i] += unit[i];
    }
  }
  for (int64_t half = kPageUnit / 2; half > 0; half /= 2) {
    for (int64_t i = 0; i < half; ++i) {
      lanes[i] += lanes[i + half];
    }
  }
  const float shrink = ExpOfNegative(*greatest - most);
  *sum = *sum * shrink + lanes[0];
  *greatest = most;
  return shrink;
}

// Multiplies weights with the scales of their values.
template <int kRows>
DJL_LORA_INLINE void ScaleWeights(const AttendTask& task, int64_t from, int64_t to, float (*weights)[kSpan]) {
  const int64_t stride = ValueStride<int8_t>(task);
  for (int64_t position = from; position < to; ++position) {
    const int8_t* value = static_cast<const int8_t*>(task.values) +
                          task.page_table[position / task.positions] * task.page_stride +
                          position % task.positions * stride;
    BFloat16 scale;
    std::memcpy(&scale, value + task.dim, sizeof(scale));
    const float factor = ToFloat(scale);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      weights[r][position - from] *= factor;
    }
  }
}

// sums[r][c] += weights of the span times its values, for one vector of a head's components.
template <typename V, typename S, int kRows>
DJL_LORA_INLINE void AddValues(const AttendTask& task, int64_t from, int64_t to, int64_t first,
                               const float (*weights)[kSpan], const float* shrink, float* sums, int64_t stride) {
  const int64_t left = task.dim - first;
  const int64_t value_stride = ValueStride<S>(task);
  typename V::Vec rows[kRows];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    rows[r] = V::Mul(V::Load(sums + r * stride + first), V::Set(shrink[r]));
  }
  int64_t position = from;
  while (position < to) {
    const int64_t inside = position % task.positions;
    const S* values = static_cast<const S*>(task.values) +
                      task.page_table[position / task.positions] * task.page_stride + inside * value_stride + first;
    const int64_t count = task.positions - inside < to - position ? task.positions - inside : to - position;
    for (int64_t i = 0; i < count; ++i) {
      const S* p = values + i * value_stride;
      const typename V::Vec value = LoadUpTo16<V>(p, left);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        rows[r] = V::MulAdd(value, V::Set(weights[r][position - from + i]), rows[r]);
      }
    }
    position += count;
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    V::Store(sums + r * stride + first, rows[r]);
  }
}

// task.rows is at most kRows; rows that are missing count as zeros.
template <typename V, typename T, typename S, int kRows>
void AttendRows(const AttendTask& task) {
  alignas(64) float q[kMostHeadDim * kRows];
  alignas(64) float scores[kRows][kSpan];
  alignas(64) float sums[kRows * kMostHeadDim];
  float greatest[kRows];
  float sum[kRows];
  float shrink[kRows];
  const int64_t stride = (task.dim + kLanes - 1) / kLanes * kLanes;
  int64_t begin = task.first[0];
  int64_t end = task.end[0];
  const S* first_keys = KeysOf<S>(task, begin / kPageUnit * kPageUnit);
  for (int64_t d = 0; d < task.dim; ++d) {
    __builtin_prefetch(first_keys + d * task.positions, 0, 3);
  }
  for (int r = 0; r < kRows; ++r) {
    greatest[r] = kNothing;
    sum[r] = 0.0f;
    if (r < task.rows) {
      begin = task.first[r] < begin ? task.first[r] : begin;
      end = task.end[r] > end ? task.end[r] : end;
    }
    for (int64_t d = 0; d < task.dim; ++d) {
      q[d * kRows + r] = r < task.rows ? ToFloat(static_cast<const T*>(task.q[r])[d]) * task.scale : 0.0f;
    }
    for (int64_t d = 0; d < task.dim; d += kLanes) {
      V::Store(sums + r * stride + d, V::Zero());
    }
  }
  // spans begin at multiples of their length, whatever rows are together here: the bits of a row are its own
  for (int64_t from = begin / kSpan * kSpan; from < end; from += kSpan) {
    const int64_t to = from + kSpan < end ? from + kSpan : end;
    const int64_t units = (to - from + kPageUnit - 1) / kPageUnit;
    Scores<V, S, kRows>(task, q, from, units, scores);
    for (int r = 0; r < kRows; ++r) {
      const int64_t first = r < task.rows ? task.first[r] - from : 0;
      const int64_t last = r < task.rows ? task.end[r] - from : kSpan;
      for (int64_t i = 0; i < first && i < kSpan; ++i) {
        scores[r][i] = kNothing;
      }
      for (int64_t i = last > 0 ? last : 0; i < units * kPageUnit; ++i) {
        scores[r][i] = kNothing;
      }
      shrink[r] = Weigh(scores[r], units, &greatest[r], &sum[r]);
    }
    if constexpr (kScaled<S>) {
      ScaleWeights<kRows>(task, from, to, scores);
    }
    for (int64_t d = 0; d < task.dim; d += kLanes) {
      AddValues<V, S, kRows>(task, from, to, d, scores, shrink, sums, stride);
    }
  }
  for (int64_t r = 0; r < task.rows; ++r) {
    const typename V::Vec factor = V::Set(1.0f / sum[r]);
    T* result = static_cast<T*>(task.result[r]);
    for (int64_t d = 0; d < task.dim; d += kLanes) {
      StoreUpTo16<V>(result + d, V::Mul(V::Load(sums + r * stride + d), factor), task.dim - d);
    }
  }
}

template <typename V, typename T, typename S>
void Attend(const AttendTask& task) {
  if (task.rows == 1) {
    AttendRows<V, T, S, 1>(task);
  } else if (task.rows <= V::kAttendRows / 4) {
    AttendRows<V, T, S, V::kAttendRows / 4>(task);
  } else if (task.rows <= V::kAttendRows / 2) {
    AttendRows<V, T, S, V::kAttendRows / 2>(task);
  } else {
    AttendRows<V, T, S, V::kAttendRows>(task);
  }
}

}  // namespace
}  // namespace djl_lora

#endif  // DJL_LORA_CPU_ATTENTION_IMPL_H_
