// SPDX-License-Identifier: Apache-2.0
//
// The two inner products of the low-rank update, as each instruction set computes them. One set of kernels is a table
// of functions; the loops are written once (kernels_impl.h) and compiled for each instruction set in a file of its own.
#ifndef DJL_LORA_CPU_KERNELS_H_
#define DJL_LORA_CPU_KERNELS_H_

#include <cstdint>

#include "cpu/element.h"
#include "cpu/isa.h"

namespace djl_lora {

constexpr int64_t kLanes = 16;       // outputs in a packed tile of B, and partial sums of a dot product
constexpr int64_t kMostTokens = 64;  // most rows of x in one call of a kernel
constexpr int64_t kChunkRows = 16;   // most rows of A in one call of DotFn

// dots[t * kChunkRows + r] = weight[r, :] · x[t, :] in float32. Each product is summed in 16 lanes, element i in lane
// i mod 16 (of bfloat16 pairs, pair i in lane i mod 16), and the lanes in a fixed tree: its bits do not depend on what
// is computed beside it.
struct DotTask {
  const void* x;
  int64_t x_stride;    // elements
  int64_t tokens;      // 1 to the set's chunk_tokens
  const void* weight;  // [rows, in], row-major
  int64_t weight_stride;
  int64_t rows;  // 1 to kChunkRows
  int64_t in;
  float* dots;
  int64_t rows_ahead;  // rows of the weight, or memory that is needed next, behind these: worth asking for early
};
using DotFn = void (*)(const DotTask& task);

// How h = A x lies in memory between the two products, for one row of x: as rank floats (and a zero more where the rank
// is odd), or as the high halves and then the remainders of those floats in bfloat16, for kernels that multiply
// bfloat16 with bfloat16. Both take RoundUpToEven(rank) floats.
enum class Intermediate { kFloat, kSplit };

constexpr int64_t RoundUpToEven(int64_t rank) { return (rank + 1) & ~int64_t{1}; }

// Writes dots, each times its row's factor, into the intermediate.
struct FinishTask {
  const float* dots;
  int64_t tokens;
  int64_t rows;
  const float* factors;  // [rows]
  float* h;              // row 0 of the tokens, column 0 of the rank
  int64_t h_stride;      // floats
  int64_t rank;
  int64_t first_row;  // even
};
using FinishFn = void (*)(const FinishTask& task);

// One low-rank part of an update: h times a packed B.
struct ExpandPart {
  const void* b;  // packed, see packed.h; of the problem's type, or int8
  bool int8;
  int64_t rank;
  const float* h;  // row 0 of the tokens
  int64_t h_stride;
};

// y[t, o] = round(out_scale[o] * (y[t, o] + sum over parts of B h) + bias[o]) for o in [first, first + outputs).
struct ExpandTask {
  const ExpandPart* parts;
  int64_t part_count;
  int64_t tokens;
  int64_t first;    // a multiple of kLanes
  int64_t outputs;  // a multiple of kLanes, or up to the end
  void* y;          // row 0, output 0
  int64_t y_stride;
  const void* out_scale;  // output 0; or null
  const void* bias;       // output 0; or null
  int64_t outputs_ahead;  // outputs, or memory that is needed next, behind these: worth asking for early
};
using ExpandFn = void (*)(const ExpandTask& task);

// result[t, o] = round(scale[o] * dots[t, o] + bias[o]) for `rows` outputs.
struct StoreTask {
  const float* dots;  // [tokens, kChunkRows]
  int64_t tokens;
  int64_t rows;
  const float* scale;  // or null
  const void* bias;    // or null
  void* result;
  int64_t result_stride;
};
using StoreFn = void (*)(const StoreTask& task);

// A few rows of queries over one head of keys and values; see AttentionProblem in attention_cpu.h.
constexpr int64_t kMostAttendRows = 16;
struct AttendTask {
  int64_t rows;  // 1 to the set's attend_rows
  int64_t dim;
  int64_t positions;    // in a page
  int64_t page_stride;  // elements from a page to the next; as the keys and values of Pages in attention_cpu.h
  const void* keys;     // of the head in page 0: [dim, positions]
  const void* values;   // of the head in page 0: [positions, dim]
  const int64_t* page_table;
  float scale;
  const void* q[kMostAttendRows];  // [dim] each
  void* result[kMostAttendRows];
  int64_t first[kMostAttendRows];  // the positions that a row sees: from first to before end, at least one
  int64_t end[kMostAttendRows];
};
using AttendFn = void (*)(const AttendTask& task);

// result[i] = round(round(silu(gate[i])) · up[i]), as two operators of libtorch would.
using SiluMulFn = void (*)(const void* gate, const void* up, void* result, int64_t count);

// One row of RmsNormProblem in layers_cpu.h.
struct NormTask {
  int64_t size;
  void* x;
  const void* delta;  // added to x first, and rounded; or null
  const void* weight;
  float epsilon;
  void* result;
};
using NormFn = void (*)(const NormTask& task);

// A linear layer for up to kMostTokens rows of x that were packed for it; as LinearProblem in linear_cpu.h.
struct PackedLinearTask {
  const void* x;  // packed
  int64_t tokens;
  int64_t in;
  const void* weight;  // [out, in], row-major
  int64_t weight_stride;
  int64_t first;  // outputs from first to before end
  int64_t end;
  const void* bias;  // [out] or null
  void* result;      // [tokens, out]
  int64_t result_stride;
};
using PackedLinearFn = void (*)(const PackedLinearTask& task);

// Packs rows of x [tokens, in] for PackedLinearFn, into PackedRowsElements(tokens, in) elements aligned to 64 bytes.
using PackRowsFn = void (*)(const void* x, int64_t x_stride, int64_t tokens, int64_t in, void* packed);

constexpr int64_t PackedRowsElements(int64_t tokens, int64_t in) {
  return (tokens + 15) / 16 * 16 * ((in + 31) / 32 * 32);
}

// The kernels for one type of activations.
struct KernelSet {
  DotFn dot;                  // weights of the activations' type
  DotFn dot_int8;             // int8 weights
  Intermediate intermediate;  // what `expand` reads for parts of the activations' type; int8 parts read floats
  FinishFn finish;            // into `intermediate`
  FinishFn finish_float;      // into Intermediate::kFloat
  ExpandFn expand;
  StoreFn store;
  int64_t chunk_tokens;  // rows of x that one call should take, at most kMostTokens
  AttendFn attend;
  AttendFn attend_int8;
  int64_t attend_rows;  // rows of queries that one call takes, at most kMostAttendRows
  NormFn norm;
  SiluMulFn silu_mul;
  PackRowsFn pack_rows;  // null, with packed_linear, where nothing is better than dot
  PackedLinearFn packed_linear;
};

// type: float32, float16 or bfloat16.
const KernelSet& Kernels(Isa isa, ElementType type);

// The kernels for segments of at least this many rows, whose weights are not int8; the same ones where there is nothing
// better for them. Their sums go another way, so a row's last bits depend on which of the two kinds of segment it is
// in.
constexpr int64_t kLongSegment = 16;
const KernelSet& LongKernels(Isa isa, ElementType type);

const KernelSet* PortableKernels();  // by element type
#if defined(__x86_64__)
const KernelSet* Avx2Kernels();
const KernelSet* Avx512Kernels();
const KernelSet* Avx512Bf16Kernels();
const KernelSet* AmxKernels();  // bfloat16 alone
#endif

}  // namespace djl_lora

#endif  // DJL_LORA_CPU_KERNELS_H_
