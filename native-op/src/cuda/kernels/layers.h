// SPDX-License-Identifier: Apache-2.0
//
// The small layers of a transformer. Each reads and writes its tensors once, eight elements a thread at a time; sums
// are float32 and made in an order that depends on a row's size alone, so that a row has the same bits in every batch.
#ifndef DJL_LORA_CUDA_KERNELS_LAYERS_H_
#define DJL_LORA_CUDA_KERNELS_LAYERS_H_

#include "elements.h"

namespace djl_lora {
namespace cuda {

constexpr int kKeptVectors = 2;  // of a row, that a thread keeps in registers between the two passes over it

DJL_LORA_DEVICE float SumOfWarp(float value) {
  DJL_LORA_UNROLL
  for (int mask = kWarp / 2; mask > 0; mask /= 2) {
    value += ShuffleXor(value, mask);
  }
  return value;
}

// A row's elements from `at` on, with the delta added to x in place.
template <typename T>
DJL_LORA_DEVICE Vec16 TakeRow(const NormParams& params, long long row, int at, bool aligned) {
  const long long first = row * params.size;
  unsigned short* x = static_cast<unsigned short*>(params.x) + first;
  Vec16 value = LoadEight(x, at, params.size, aligned);
  if (params.delta != nullptr) {
    const Vec16 delta = LoadEight(static_cast<const unsigned short*>(params.delta) + first, at, params.size, aligned);
    DJL_LORA_UNROLL
    for (int i = 0; i < kVector / 2; ++i) {
      value.v[i] =
          RoundPair<T>(LowOf<T>(value.v[i]) + LowOf<T>(delta.v[i]), HighOf<T>(value.v[i]) + HighOf<T>(delta.v[i]));
    }
    StoreEight(x, at, params.size, aligned, value);
  }
  return value;
}

template <typename T>
DJL_LORA_DEVICE float SumOfSquares(const Vec16& value) {
  float sum = 0.0f;
  DJL_LORA_UNROLL
  for (int i = 0; i < kVector / 2; ++i) {
    sum += LowOf<T>(value.v[i]) * LowOf<T>(value.v[i]) + HighOf<T>(value.v[i]) * HighOf<T>(value.v[i]);
  }
  return sum;
}

template <typename T>
DJL_LORA_DEVICE void PutNorm(const NormParams& params, long long row, int at, bool aligned, float factor,
                             const Vec16& value) {
  const Vec16 weight = LoadEight(params.weight, at, params.size, aligned);
  Vec16 result;
  DJL_LORA_UNROLL
  for (int i = 0; i < kVector / 2; ++i) {
    const unsigned normalised = RoundPair<T>(LowOf<T>(value.v[i]) * factor, HighOf<T>(value.v[i]) * factor);
    result.v[i] =
        RoundPair<T>(LowOf<T>(weight.v[i]) * LowOf<T>(normalised), HighOf<T>(weight.v[i]) * HighOf<T>(normalised));
  }
  StoreEight(static_cast<unsigned short*>(params.result) + row * params.size, at, params.size, aligned, result);
}

// Grid: rows, or rows by kNormWarps where a warp takes a row. With few rows a block has as many threads as a row has
// vectors, so that all of it is on its way at once.
template <typename T>
DJL_LORA_DEVICE void RmsNorm(const NormParams& params) {
  const bool one_warp = params.row_threads == kWarp;
  const int warp = ThreadIndex() / kWarp;
  const int thread = one_warp ? ThreadIndex() % kWarp : ThreadIndex();
  const long long row = one_warp ? static_cast<long long>(BlockX()) * kNormWarps + warp : BlockX();
  if (row >= params.rows) {
    return;  // a whole warp, and warps of such blocks do not wait for each other
  }
  const bool aligned = params.size % kVector == 0 && Aligned16(params.x) && Aligned16(params.delta) &&
                       Aligned16(params.weight) && Aligned16(params.result);
  const int step = params.row_threads * kVector;
  Vec16 kept[kKeptVectors];
  float sum = 0.0f;
  DJL_LORA_UNROLL
  for (int i = 0; i < kKeptVectors; ++i) {
    const int at = thread * kVector + i * step;
    kept[i] = at < params.size ? TakeRow<T>(params, row, at, aligned) : Vec16{};
  }
  DJL_LORA_UNROLL
  for (int i = 0; i < kKeptVectors; ++i) {
    sum += SumOfSquares<T>(kept[i]);
  }
  DJL_LORA_KEEP_LOOP
  for (int at = thread * kVector + kKeptVectors * step; at < params.size; at += step) {
    sum += SumOfSquares<T>(TakeRow<T>(params, row, at, aligned));
  }
  sum = SumOfWarp(sum);
  if (!one_warp) {
    float* sums = reinterpret_cast<float*>(SharedMemory());
    if (thread % kWarp == 0) {
      sums[warp] = sum;
    }
    SyncBlock();
    sum = SumOfWarp(thread % kWarp < params.row_threads / kWarp ? sums[thread % kWarp] : 0.0f);
  }
  const float factor = 1.0f / SquareRoot(sum / static_cast<float>(params.size) + params.epsilon);
  DJL_LORA_UNROLL
  for (int i = 0; i < kKeptVectors; ++i) {
    const int at = thread * kVector + i * step;
    if (at < params.size) {
      PutNorm<T>(params, row, at, aligned, factor, kept[i]);
    }
  }
  DJL_LORA_KEEP_LOOP
  for (int at = thread * kVector + kKeptVectors * step; at < params.size; at += step) {
    const unsigned short* x = static_cast<const unsigned short*>(params.x) + row * params.size;
    PutNorm<T>(params, row, at, aligned, factor, LoadEight(x, at, params.size, aligned));
  }
}

constexpr float kLog2E = 1.44269504f;

// Without an exponential that overflows.
DJL_LORA_DEVICE float Silu(float value) {
  const float e = Exp2((value < 0.0f ? value : -value) * kLog2E);
  return value * ((value < 0.0f ? e : 1.0f) / (1.0f + e));
}

// Grid: vectors by kSiluMulThreads.
template <typename T>
DJL_LORA_DEVICE void SiluMul(const SiluMulParams& params) {
  const long long at = (static_cast<long long>(BlockX()) * kSiluMulThreads + ThreadIndex()) * kVector;
  if (at >= params.count) {
    return;
  }
  const bool aligned = Aligned16(params.gate) && Aligned16(params.up) && Aligned16(params.result);
  const Vec16 gate = LoadEight(params.gate, at, params.count, aligned);
  const Vec16 up = LoadEight(params.up, at, params.count, aligned);
  Vec16 result;
  DJL_LORA_UNROLL
  for (int i = 0; i < kVector / 2; ++i) {
    const unsigned activated = RoundPair<T>(Silu(LowOf<T>(gate.v[i])), Silu(HighOf<T>(gate.v[i])));
    result.v[i] = RoundPair<T>(LowOf<T>(activated) * LowOf<T>(up.v[i]), HighOf<T>(activated) * HighOf<T>(up.v[i]));
  }
  StoreEight(params.result, at, params.count, aligned, result);
}

// The better of two, where a has the lower indices: what is not finite before all else, then the greater, then the
// lower index.
DJL_LORA_DEVICE Greatest Better(const Greatest& a, const Greatest& b) {
  if (a.index == kNoFiniteGreatest || b.index == kNoFiniteGreatest) {
    return {0.0f, kNoFiniteGreatest};
  }
  if (a.index == kNoGreatest || b.index == kNoGreatest) {
    return a.index == kNoGreatest ? b : a;
  }
  const bool second = b.value > a.value || (b.value == a.value && b.index < a.index);
  return second ? b : a;
}

DJL_LORA_DEVICE Greatest BestOfWarp(Greatest best) {
  DJL_LORA_UNROLL
  for (int mask = kWarp / 2; mask > 0; mask /= 2) {
    Greatest other;
    other.value = ShuffleXor(best.value, mask);
    other.index = ShuffleXor(best.index, mask);
    best = Better(best, other);
  }
  return best;
}

DJL_LORA_DEVICE Greatest Consider(const Greatest& best, float value, int index) {
  constexpr float kFinite = 3.40282347e38f;
  if (!(value <= kFinite)) {
    return {0.0f, kNoFiniteGreatest};
  }
  if (value < -kFinite) {
    return best;
  }
  return Better(best, {value, index});
}

// Grid: parts of kArgmaxPart columns, rows up to the grid's limit. A row of logits is long and rows may be few, so that
// blocks share it; the host, which is to have the result anyway, takes the best of the parts.
DJL_LORA_DEVICE void Argmax(const ArgmaxParams& params) {
  const int first = BlockX() * kArgmaxPart;
  const int last = params.columns - first < kArgmaxPart ? params.columns : first + kArgmaxPart;
  Greatest* shared = reinterpret_cast<Greatest*>(SharedMemory());
  const int thread = ThreadIndex();
  DJL_LORA_KEEP_LOOP
  for (long long row = BlockY(); row < params.rows; row += kMaxGridY) {
    const float* x = params.x + row * params.columns;
    const bool aligned = Aligned16(x);
    Greatest best{0.0f, kNoGreatest};
    DJL_LORA_UNROLL_BY(2)
    for (int i = first + 4 * thread; i < last; i += 4 * kArgmaxThreads) {
      if (aligned && i + 4 <= last) {
        const Floats4 values = LoadFloats4(x + i);
        DJL_LORA_UNROLL
        for (int e = 0; e < 4; ++e) {
          best = Consider(best, values.v[e], i + e);
        }
      } else {
        for (int e = i; e < last && e < i + 4; ++e) {
          best = Consider(best, x[e], e);
        }
      }
    }
    best = BestOfWarp(best);
    if (thread % kWarp == 0) {
      shared[thread / kWarp] = best;
    }
    SyncBlock();
    if (thread < kWarp) {
      best = thread < kArgmaxThreads / kWarp ? shared[thread] : Greatest{0.0f, kNoGreatest};
      best = BestOfWarp(best);
      if (thread == 0) {
        params.result[row * params.parts + BlockX()] = best;
      }
    }
    SyncBlock();  // before the next row is written there
  }
}

// Two components that are turned against each other, as RotaryProblem in cpu/layers_cpu.h says.
struct Turned {
  float first;
  float second;
};
DJL_LORA_DEVICE Turned Turn(float first, float second, float cos, float sin) {
  return {first * cos - second * sin, second * cos + first * sin};
}

// The queries of one head of rows [token, token + count), in place.
template <typename T>
DJL_LORA_DEVICE void TurnQueries(const KvWriteParams& params, int token, int count, int head) {
  const int half = params.dim / 2;
  const long long places = static_cast<long long>(params.pages) * params.positions;
  DJL_LORA_KEEP_LOOP
  for (int work = ThreadIndex(); work < count * half; work += kKvWriteThreads) {
    const int row = token + work / half;
    const int i = work % half;
    unsigned short* x =
        static_cast<unsigned short*>(params.q) + row * params.q_token_stride + head * params.q_head_stride + i;
    const long long table = static_cast<long long>(row) * half + i;
    Turned turned = Turn(Widen<T>(x[0]), Widen<T>(x[half]), Load(params.cos + table), Load(params.sin + table));
    const long long place = Load(params.places + row);
    if (place < 0 || place >= places) {
      turned = {NotANumber(), NotANumber()};
    }
    x[0] = Round<T>(turned.first);
    x[half] = Round<T>(turned.second);
  }
}

// The keys and values of one head of rows [token, token + count). Keys go through shared memory: they are read along
// their components and written along their positions, which neighbouring rows of a prompt have side by side.
template <typename T>
DJL_LORA_DEVICE void WriteHead(const KvWriteParams& params, int token, int count, int head) {
  unsigned short* turned = reinterpret_cast<unsigned short*>(SharedMemory());  // [dim, kKvWritePitch]
  const int dim = params.dim;
  const int half = dim / 2;
  const bool turns = params.cos != nullptr;
  const int pairs = turns ? half : dim;
  DJL_LORA_KEEP_LOOP
  for (int work = ThreadIndex(); work < count * pairs; work += kKvWriteThreads) {
    const int row = work / pairs;
    const int i = work % pairs;
    const unsigned short* k = static_cast<const unsigned short*>(params.k) + (token + row) * params.k_token_stride +
                              head * params.k_head_stride + i;
    if (turns) {
      const long long table = static_cast<long long>(token + row) * half + i;
      const Turned both = Turn(Widen<T>(k[0]), Widen<T>(k[half]), Load(params.cos + table), Load(params.sin + table));
      turned[i * kKvWritePitch + row] = Round<T>(both.first);
      turned[(i + half) * kKvWritePitch + row] = Round<T>(both.second);
    } else {
      turned[i * kKvWritePitch + row] = k[0];
    }
  }
  SyncBlock();
  const long long places = static_cast<long long>(params.pages) * params.positions;
  const long long page_elements = static_cast<long long>(dim) * params.positions;
  DJL_LORA_KEEP_LOOP
  for (int work = ThreadIndex(); work < dim * kKvWriteTokens; work += kKvWriteThreads) {
    const int row = work % kKvWriteTokens;  // the same in each round
    const int d = work / kKvWriteTokens;
    const long long place = row < count ? Load(params.places + token + row) : -1;
    if (place >= 0 && place < places) {
      const long long start = (place / params.positions * params.kv_heads + head) * page_elements;
      static_cast<unsigned short*>(
          params.keys)[start + static_cast<long long>(d) * params.positions + place % params.positions] =
          turned[d * kKvWritePitch + row];
    }
  }
  const int vectors = (dim + kVector - 1) / kVector;
  const bool aligned = dim % kVector == 0 && params.v_token_stride % kVector == 0 &&
                       params.v_head_stride % kVector == 0 && Aligned16(params.v) && Aligned16(params.values);
  DJL_LORA_KEEP_LOOP
  for (int work = ThreadIndex(); work < count * vectors; work += kKvWriteThreads) {
    const int row = work / vectors;
    const int at = work % vectors * kVector;
    const long long place = Load(params.places + token + row);
    if (place >= 0 && place < places) {
      const unsigned short* v = static_cast<const unsigned short*>(params.v) + (token + row) * params.v_token_stride +
                                head * params.v_head_stride;
      const long long start =
          (place / params.positions * params.kv_heads + head) * page_elements + place % params.positions * dim;
      StoreEight(static_cast<unsigned short*>(params.values) + start, at, dim, aligned, LoadEight(v, at, dim, aligned));
    }
  }
}

// Grid: rows by kKvWriteTokens, heads of keys and then heads of queries.
template <typename T>
DJL_LORA_DEVICE void KvWrite(const KvWriteParams& params) {
  const int token = BlockX() * kKvWriteTokens;
  const int count = params.tokens - token < kKvWriteTokens ? params.tokens - token : kKvWriteTokens;
  const int head = BlockY();
  if (head < params.kv_heads) {
    WriteHead<T>(params, token, count, head);
  } else {
    TurnQueries<T>(params, token, count, head - params.kv_heads);
  }
}

}  // namespace cuda
}  // namespace djl_lora

#endif  // DJL_LORA_CUDA_KERNELS_LAYERS_H_
