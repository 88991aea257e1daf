// SPDX-License-Identifier: Apache-2.0
//
// Attention over keys and values that lie in pages (Kwon et al., "Efficient Memory Management for Large Language Model
// Serving with PagedAttention", 2023), and what writes them there. Plain pointers, no framework; every argument was
// checked by the caller.
#ifndef DJL_LORA_CPU_ATTENTION_CPU_H_
#define DJL_LORA_CPU_ATTENTION_CPU_H_

#include <cstdint>

#include "cpu/element.h"

namespace djl_lora {

constexpr int64_t kPageUnit = 16;      // positions in a page are a multiple of this
constexpr int64_t kMostHeadDim = 512;  // the largest head
constexpr int64_t kScaleBytes = 2;     // of a position of a head in 8 bits

// Where the keys and values of one layer lie. Keys are turned, so that one vector holds one component of 16 positions'
// keys and a score needs no sum over lanes.
//
// Either they are of the activations' type, or 8-bit integers with a scale in bfloat16 for each position of a head. The
// scales take the place of two components: two bytes behind each position's value, and of the keys the last two rows of
// `positions` bytes, which hold the positions' scales one after another.
struct Pages {
  ElementType type;  // of the activations: float32, float16 or bfloat16
  int64_t count;
  int64_t heads;  // of keys and values
  int64_t dim;
  int64_t positions;  // in a page, a multiple of kPageUnit
  void* keys;         // [count, heads, dim, positions]; or int8 [count, heads, dim + kScaleBytes, positions]
  void* values;       // [count, heads, positions, dim]; or int8 [count, heads, positions, dim + kScaleBytes]
  bool int8 = false;
};

// result[t, head, :] = softmax(scale · q[t, head, :] · K) V over the positions that row t of its sequence sees: all up
// to its own, or the `window` newest of them. Rows of a sequence are the last of its positions.
struct AttentionProblem {
  Pages pages;
  int64_t heads;  // of queries, a multiple of pages.heads
  const void* q;  // [tokens, heads, dim]
  int64_t token_stride;
  int64_t head_stride;
  int64_t sequences;
  const int64_t* row_starts;   // [sequences + 1], the rows of each sequence
  const int64_t* lengths;      // [sequences], its positions with the rows
  const int64_t* page_starts;  // [sequences + 1], into page_table
  const int64_t* page_table;   // the pages of each sequence in their order
  int64_t window;              // 0 for all
  float scale;
  void* result;  // [tokens, heads, dim] without gaps
};

// The bits of a row depend on that row, the keys and values that it sees, and the kernels in use alone.
void AttentionCpu(const AttentionProblem& problem, int threads);

// Turns queries and keys by their positions (RotaryProblem in layers_cpu.h) and writes keys and values to their places.
struct KvWriteProblem {
  Pages pages;
  int64_t tokens;
  int64_t heads;  // of queries
  void* q;        // [tokens, heads, dim], turned in place; or null
  int64_t q_token_stride;
  int64_t q_head_stride;
  const void* k;  // [tokens, pages.heads, dim]
  int64_t k_token_stride;
  int64_t k_head_stride;
  const void* v;  // as k
  int64_t v_token_stride;
  int64_t v_head_stride;
  const float* cos;  // [tokens, dim / 2]; null to turn nothing
  const float* sin;
  const int64_t* places;  // [tokens]: page · positions in a page + position in it, no two the same
};

void KvWriteCpu(const KvWriteProblem& problem, int threads);

}  // namespace djl_lora

#endif  // DJL_LORA_CPU_ATTENTION_CPU_H_
