// SPDX-License-Identifier: Apache-2.0
//
// The kernels' loops, written over a vector type V of 16 floats. Each instruction set's file defines its own V and
// includes this, compiled with flags that other files must not see the code of: so everything here is a template over
// V or in an unnamed namespace, and nothing of the standard library is called.
#ifndef DJL_LORA_CPU_KERNELS_IMPL_H_
#define DJL_LORA_CPU_KERNELS_IMPL_H_

#include "cpu/attention_impl.h"
#include "cpu/kernels.h"
#include "cpu/layers_impl.h"
#include "cpu/up_to_16.h"

namespace djl_lora {
namespace {  // NOLINT(google-build-namespaces): each instruction set's file has a copy of its own

template <typename T>
constexpr bool kIsBFloat16 = false;
template <>
inline constexpr bool kIsBFloat16<BFloat16> = true;

// How a dot product of T activations and W weights goes through memory: elements widened one by one.
template <typename V, typename T, typename W>
struct DotOps {
  static constexpr int64_t kStep = 16;
  using Operand = typename V::Vec;
  static DJL_LORA_INLINE Operand LoadX(const T* p) { return V::Load(p); }
  static DJL_LORA_INLINE Operand LoadX(const T* p, int64_t n) { return V::Load(p, n); }
  static DJL_LORA_INLINE Operand LoadW(const W* p) { return V::Load(p); }
  static DJL_LORA_INLINE Operand LoadW(const W* p, int64_t n) { return V::Load(p, n); }
  static DJL_LORA_INLINE typename V::Vec MulAdd(Operand w, Operand x, typename V::Vec sum) {
    return V::MulAdd(w, x, sum);
  }
};

// bfloat16 with bfloat16: pairs, which widen with a shift and a mask; or whatever V has for them.
template <typename V>
struct DotOps<V, BFloat16, BFloat16> {
  static constexpr int64_t kStep = 32;
  using Operand = typename V::Pairs;
  static DJL_LORA_INLINE Operand LoadX(const BFloat16* p) { return V::LoadPairs(p); }
  static DJL_LORA_INLINE Operand LoadX(const BFloat16* p, int64_t n) { return V::LoadPairs(p, n); }
  static DJL_LORA_INLINE Operand LoadW(const BFloat16* p) { return V::LoadPairs(p); }
  static DJL_LORA_INLINE Operand LoadW(const BFloat16* p, int64_t n) { return V::LoadPairs(p, n); }
  static DJL_LORA_INLINE typename V::Vec MulAdd(const Operand& w, const Operand& x, typename V::Vec sum) {
    return V::DotPairs(w, x, sum);
  }
};

// kRows rows of the weight by kTokens rows of x, sums in registers. kPrefetch: the rows behind these are asked for
// while these are read, since rows of a few kilobytes are too short for the hardware to foresee. What another thread
// will read must not be asked for: it would come twice.
template <typename V, typename T, typename W, int kRows, int kTokens, bool kPrefetch>
DJL_LORA_INLINE void DotTile(const DotTask& task, int64_t row, int64_t token) {
  using Ops = DotOps<V, T, W>;
  const T* x = static_cast<const T*>(task.x) + token * task.x_stride;
  const W* w = static_cast<const W*>(task.weight) + row * task.weight_stride;
  typename V::Vec sums[kRows][kTokens];
  for (int r = 0; r < kRows; ++r) {
    for (int t = 0; t < kTokens; ++t) {
      sums[r][t] = V::Zero();
    }
  }
  int64_t i = 0;
  for (; i + Ops::kStep <= task.in; i += Ops::kStep) {
    typename Ops::Operand xs[kTokens];
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) {
      xs[t] = Ops::LoadX(x + t * task.x_stride + i);
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const W* p = w + r * task.weight_stride + i;
      if (kPrefetch) {
        __builtin_prefetch(p + kRows * task.weight_stride, 0, 3);
      }
      const typename Ops::Operand ws = Ops::LoadW(p);
#pragma GCC unroll 8
      for (int t = 0; t < kTokens; ++t) {
        sums[r][t] = Ops::MulAdd(ws, xs[t], sums[r][t]);
      }
    }
  }
  if (i < task.in) {
    const int64_t left = task.in - i;
    for (int t = 0; t < kTokens; ++t) {
      const typename Ops::Operand xs = Ops::LoadX(x + t * task.x_stride + i, left);
      for (int r = 0; r < kRows; ++r) {
        sums[r][t] = Ops::MulAdd(Ops::LoadW(w + r * task.weight_stride + i, left), xs, sums[r][t]);
      }
    }
  }
  for (int t = 0; t < kTokens; ++t) {
    float* dots = task.dots + (token + t) * kChunkRows + row;
    if constexpr (kRows % 4 == 0) {
      for (int r = 0; r < kRows; r += 4) {
        V::Sum4(sums[r][t], sums[r + 1][t], sums[r + 2][t], sums[r + 3][t], dots + r);
      }
    } else {
      for (int r = 0; r < kRows; ++r) {
        float four[4];
        V::Sum4(sums[r][t], V::Zero(), V::Zero(), V::Zero(), four);
        dots[r] = four[0];
      }
    }
  }
}

// How far ahead of one row's products memory is asked for, in bytes.
inline constexpr int64_t kStreamAhead = 4096;

// One row of x by four rows of the weight, which go by one after the other as they lie in memory. That is the fastest
// way to read them, as long as something asks far enough ahead; `ahead` bytes behind the first of them may be asked
// for.
template <typename V, typename T, typename W>
DJL_LORA_INLINE void DotStream(const DotTask& task, int64_t row, int64_t ahead) {
  using Ops = DotOps<V, T, W>;
  constexpr int64_t kDistance = kStreamAhead / static_cast<int64_t>(sizeof(W));
  const T* x = static_cast<const T*>(task.x);
  const W* w = static_cast<const W*>(task.weight) + row * task.weight_stride;
  const int64_t last = ahead / static_cast<int64_t>(sizeof(W)) - kDistance;  // element whose prefetch is the last
  typename V::Vec sums[4];
  for (int r = 0; r < 4; ++r) {
    const W* p = w + r * task.weight_stride;
    const int64_t whole = task.in / Ops::kStep * Ops::kStep;
    const int64_t until = last - r * task.weight_stride;
    typename V::Vec sum = V::Zero();
    int64_t i = 0;
    for (; i < whole && i < until; i += Ops::kStep) {
      __builtin_prefetch(p + i + kDistance, 0, 2);
      sum = Ops::MulAdd(Ops::LoadW(p + i), Ops::LoadX(x + i), sum);
    }
    for (; i < whole; i += Ops::kStep) {
      sum = Ops::MulAdd(Ops::LoadW(p + i), Ops::LoadX(x + i), sum);
    }
    if (i < task.in) {
      sum = Ops::MulAdd(Ops::LoadW(p + i, task.in - i), Ops::LoadX(x + i, task.in - i), sum);
    }
    sums[r] = sum;
  }
  V::Sum4(sums[0], sums[1], sums[2], sums[3], task.dots + row);
}

template <typename V, typename T, typename W, int kRows, int kTokens, bool kPrefetch>
DJL_LORA_INLINE void DotTokens(const DotTask& task, int64_t row, int64_t token) {
  if (kPrefetch && token + kTokens <= task.tokens) {  // once is enough
    DotTile<V, T, W, kRows, kTokens, true>(task, row, token);
    token += kTokens;
  }
  for (; token + kTokens <= task.tokens; token += kTokens) {
    DotTile<V, T, W, kRows, kTokens, false>(task, row, token);
  }
  if constexpr (kTokens > 1) {
    if (token < task.tokens) {
      DotTokens<V, T, W, kRows, kTokens - 1, kPrefetch>(task, row, token);
    }
  }
}

template <typename V, typename T, typename W, bool kPrefetch>
DJL_LORA_INLINE void DotRows(const DotTask& task) {
  int64_t row = 0;
  for (; row + V::kDotRows <= task.rows; row += V::kDotRows) {
    if (kPrefetch && row + 2 * V::kDotRows <= task.rows + task.rows_ahead) {
      DotTokens<V, T, W, V::kDotRows, V::kDotTokens, true>(task, row, 0);
    } else {
      DotTokens<V, T, W, V::kDotRows, V::kDotTokens, false>(task, row, 0);
    }
  }
  for (; row < task.rows; ++row) {
    DotTokens<V, T, W, 1, V::kDotTokens, false>(task, row, 0);
  }
}

template <typename V, typename T, typename W>
void Dot(const DotTask& task) {
  if (task.tokens == 1) {
    int64_t row = 0;
    for (; row + 4 <= task.rows; row += 4) {
      const int64_t rows = task.rows - row + task.rows_ahead;
      DotStream<V, T, W>(task, row, rows * task.weight_stride * static_cast<int64_t>(sizeof(W)));
    }
    for (; row < task.rows; ++row) {
      DotTile<V, T, W, 1, 1, false>(task, row, 0);
    }
  } else if (task.tokens <= 2 * V::kDotTokens) {  // few enough that the memory is the limit
    DotRows<V, T, W, true>(task);
  } else {
    DotRows<V, T, W, false>(task);
  }
}

template <typename V>
void FinishFloat(const FinishTask& task) {
  const typename V::Vec factors = V::Load(task.factors, task.rows);
  const bool fill = task.rank % 2 != 0 && task.first_row + task.rows == task.rank;
  for (int64_t t = 0; t < task.tokens; ++t) {
    float* h = task.h + t * task.h_stride;
    V::Store(h + task.first_row, V::Mul(V::Load(task.dots + t * kChunkRows, task.rows), factors), task.rows);
    if (fill) {
      h[task.rank] = 0.0f;
    }
  }
}

// One part's share of a tile of y: kTiles times 16 outputs by kTokens rows. `tile` counts tiles of B.
template <typename V, typename W, int kTiles, int kTokens, bool kPrefetch>
DJL_LORA_INLINE void Accumulate(const ExpandPart& part, int64_t tile, int64_t token,
                                typename V::Vec (&sums)[kTiles][kTokens]) {
  const float* h = part.h + token * part.h_stride;
  if constexpr (kIsBFloat16<W>) {
    const int64_t columns = RoundUpToEven(part.rank);
    const int64_t step = columns * kLanes;
    const BFloat16* b = static_cast<const BFloat16*>(part.b) + tile * step;
    for (int64_t r = 0; r < columns; r += 2) {
      typename V::Pairs bs[kTiles];
#pragma GCC unroll 8
      for (int i = 0; i < kTiles; ++i) {
        const BFloat16* p = b + i * step + r * kLanes;
        if (kPrefetch) {
          __builtin_prefetch(p + kTiles * step, 0, 3);
        }
        bs[i] = V::LoadPairs(p);
      }
#pragma GCC unroll 8
      for (int t = 0; t < kTokens; ++t) {
        const typename V::Pair pair = V::LoadPair(h + t * part.h_stride, r, columns);
#pragma GCC unroll 8
        for (int i = 0; i < kTiles; ++i) {
          sums[i][t] = V::MulAddPair(bs[i], pair, sums[i][t]);
        }
      }
    }
  } else {
    const int64_t step = part.rank * kLanes;
    const W* b = static_cast<const W*>(part.b) + tile * step;
    for (int64_t r = 0; r < part.rank; ++r) {
      typename V::Vec bs[kTiles];
#pragma GCC unroll 8
      for (int i = 0; i < kTiles; ++i) {
        const W* p = b + i * step + r * kLanes;
        if (kPrefetch) {
          __builtin_prefetch(p + kTiles * step, 0, 3);
        }
        bs[i] = V::Load(p);
      }
#pragma GCC unroll 8
      for (int t = 0; t < kTokens; ++t) {
        const typename V::Vec value = V::Set(h[t * part.h_stride + r]);
#pragma GCC unroll 8
        for (int i = 0; i < kTiles; ++i) {
          sums[i][t] = V::MulAdd(bs[i], value, sums[i][t]);
        }
      }
    }
  }
}

// Adds the sums of 16 outputs from o on to a row of y.
template <typename V, typename T>
DJL_LORA_INLINE void PutOnY(const ExpandTask& task, int64_t o, int64_t token, typename V::Vec sums) {
  const T* out_scale = static_cast<const T*>(task.out_scale);
  const T* bias = static_cast<const T*>(task.bias);
  const int64_t n = task.first + task.outputs - o;
  T* y = static_cast<T*>(task.y) + token * task.y_stride + o;
  typename V::Vec value = V::Add(LoadUpTo16<V>(y, n), sums);
  if (out_scale != nullptr) {
    value = V::Mul(value, LoadUpTo16<V>(out_scale + o, n));
  }
  if (bias != nullptr) {
    value = V::Add(value, LoadUpTo16<V>(bias + o, n));
  }
  StoreUpTo16<V>(y, value, n);
}

template <typename V, typename T, int kTiles, int kTokens, bool kPrefetch>
DJL_LORA_INLINE void ExpandTile(const ExpandTask& task, int64_t first, int64_t token) {
  typename V::Vec sums[kTiles][kTokens];
  for (int i = 0; i < kTiles; ++i) {
    for (int t = 0; t < kTokens; ++t) {
      sums[i][t] = V::Zero();
    }
  }
  for (int64_t p = 0; p < task.part_count; ++p) {
    const ExpandPart& part = task.parts[p];
    if (part.int8) {
      Accumulate<V, int8_t, kTiles, kTokens, kPrefetch>(part, first / kLanes, token, sums);
    } else {
      Accumulate<V, T, kTiles, kTokens, kPrefetch>(part, first / kLanes, token, sums);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kTiles; ++i) {
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) {
      PutOnY<V, T>(task, first + i * kLanes, token + t, sums[i][t]);
    }
  }
}

template <typename V, typename T, int kTiles, int kTokens, bool kPrefetch>
DJL_LORA_INLINE void ExpandTokens(const ExpandTask& task, int64_t first, int64_t token) {
  for (; token + kTokens <= task.tokens; token += kTokens) {
    ExpandTile<V, T, kTiles, kTokens, kPrefetch>(task, first, token);
  }
  if constexpr (kTokens > 1) {
    if (token < task.tokens) {
      ExpandTokens<V, T, kTiles, kTokens - 1, kPrefetch>(task, first, token);
    }
  }
}

// One part's share of 16 outputs of one row, whose B goes by as it lies in memory, like A in DotStream. The chains of
// additions of neighbouring tiles overlap by themselves.
template <typename V, typename W, bool kPrefetch>
DJL_LORA_INLINE typename V::Vec AccumulateStream(const ExpandPart& part, int64_t tile, typename V::Vec sum) {
  constexpr int64_t kLine = 64;
  const int64_t columns = kIsBFloat16<W> ? RoundUpToEven(part.rank) : part.rank;
  const W* b = static_cast<const W*>(part.b) + tile * columns * kLanes;
  if (kPrefetch) {
    const char* ahead = reinterpret_cast<const char*>(b) + kStreamAhead;
    for (int64_t i = 0; i < columns * kLanes * static_cast<int64_t>(sizeof(W)); i += kLine) {
      __builtin_prefetch(ahead + i, 0, 2);
    }
  }
  if constexpr (kIsBFloat16<W>) {
    for (int64_t r = 0; r < columns; r += 2) {
      sum = V::MulAddPair(V::LoadPairs(b + r * kLanes), V::LoadPair(part.h, r, columns), sum);
    }
  } else {
    for (int64_t r = 0; r < columns; ++r) {
      sum = V::MulAdd(V::Load(b + r * kLanes), V::Set(part.h[r]), sum);
    }
  }
  return sum;
}

template <typename V, typename T, bool kPrefetch>
DJL_LORA_INLINE void ExpandStreamTile(const ExpandTask& task, int64_t o) {
  typename V::Vec sum = V::Zero();
  for (int64_t p = 0; p < task.part_count; ++p) {
    sum = task.parts[p].int8 ? AccumulateStream<V, int8_t, kPrefetch>(task.parts[p], o / kLanes, sum)
                             : AccumulateStream<V, T, kPrefetch>(task.parts[p], o / kLanes, sum);
  }
  PutOnY<V, T>(task, o, 0, sum);
}

// One row. What lies kStreamAhead bytes on is asked for as long as it is this thread's to read.
template <typename V, typename T>
void ExpandStream(const ExpandTask& task) {
  const int64_t end = task.first + task.outputs;
  int64_t tile_bytes = kStreamAhead;  // the least of the parts
  for (int64_t p = 0; p < task.part_count; ++p) {
    const ExpandPart& part = task.parts[p];
    const int64_t bytes = part.rank * kLanes * (part.int8 ? 1 : static_cast<int64_t>(sizeof(T)));
    tile_bytes = bytes < tile_bytes ? bytes : tile_bytes;
  }
  const int64_t outputs_ahead = (kStreamAhead + tile_bytes - 1) / (tile_bytes > 0 ? tile_bytes : 1) * kLanes;
  const int64_t until = end + task.outputs_ahead - outputs_ahead;
  int64_t o = task.first;
  for (; o < end && o < until; o += kLanes) {
    ExpandStreamTile<V, T, true>(task, o);
  }
  for (; o < end; o += kLanes) {
    ExpandStreamTile<V, T, false>(task, o);
  }
}

template <typename V, typename T>
void Expand(const ExpandTask& task) {
  if (task.tokens == 1) {
    ExpandStream<V, T>(task);
    return;
  }
  const int64_t end = task.first + task.outputs;
  int64_t o = task.first;
  for (; o + (V::kExpandTiles - 1) * kLanes < end; o += V::kExpandTiles * kLanes) {
    if (task.tokens <= V::kExpandTokens && o + (2 * V::kExpandTiles - 1) * kLanes < end) {
      ExpandTokens<V, T, V::kExpandTiles, V::kExpandTokens, true>(task, o, 0);
    } else {
      ExpandTokens<V, T, V::kExpandTiles, V::kExpandTokens, false>(task, o, 0);
    }
  }
  for (; o < end; o += kLanes) {
    ExpandTokens<V, T, 1, V::kExpandTokens, false>(task, o, 0);
  }
}

template <typename V, typename T>
void StoreRows(const StoreTask& task) {
  for (int64_t t = 0; t < task.tokens; ++t) {
    typename V::Vec value = V::Load(task.dots + t * kChunkRows, task.rows);
    if (task.scale != nullptr) {
      value = V::Mul(value, V::Load(task.scale, task.rows));
    }
    if (task.bias != nullptr) {
      value = V::Add(value, V::Load(static_cast<const T*>(task.bias), task.rows));
    }
    V::Store(static_cast<T*>(task.result) + t * task.result_stride, value, task.rows);
  }
}

// Intermediate::kFloat with nothing that is special to one instruction set.
template <typename V, typename T>
constexpr KernelSet MakeKernels() {
  return {Dot<V, T, T>,
          Dot<V, T, int8_t>,
          Intermediate::kFloat,
          FinishFloat<V>,
          FinishFloat<V>,
          Expand<V, T>,
          StoreRows<V, T>,
          16,
          Attend<V, T, T>,
          Attend<V, T, int8_t>,
          V::kAttendRows,
          RmsNormRow<V, T>,
          SiluMul<V, T>,
          nullptr,
          nullptr};
}

}  // namespace
}  // namespace djl_lora

#endif  // DJL_LORA_CPU_KERNELS_IMPL_H_
