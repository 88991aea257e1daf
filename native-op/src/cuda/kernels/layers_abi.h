// SPDX-License-Identifier: Apache-2.0
//
// What the host hands to the CUDA kernels of a transformer's layers. Compiled by the host's compiler and by nvcc, so it
// includes nothing else. Elements are 16 bits wide, all of the kernel's type; what is behind the pointers lies on the
// device.
#ifndef DJL_LORA_CUDA_KERNELS_LAYERS_ABI_H_
#define DJL_LORA_CUDA_KERNELS_LAYERS_ABI_H_

#include "abi.h"

namespace djl_lora {
namespace cuda {

// RmsNormProblem in cpu/layers_cpu.h.
struct NormParams {
  void* x;             // [rows, size], written where there is a delta
  const void* delta;   // [rows, size], or null
  const void* weight;  // [size]
  void* result;        // [rows, size]
  long long rows;
  int size;
  int row_threads;  // that share a row: kWarp, and a block takes several rows, or all of the block
  float epsilon;
};

// SiluMulProblem in cpu/layers_cpu.h.
struct SiluMulParams {
  const void* gate;
  const void* up;
  void* result;
  long long count;
};

// The greatest of some columns of a row.
struct Greatest {
  float value;
  int index;  // the lowest where there are several; kNoFiniteGreatest, or kNoGreatest
};
constexpr int kNoFiniteGreatest = -1;  // there is NaN or positive infinity
constexpr int kNoGreatest = -2;        // there is negative infinity alone

struct ArgmaxParams {
  const float* x;  // [rows, columns]
  long long rows;
  int columns;
  int parts;         // of kArgmaxPart columns
  Greatest* result;  // [rows, parts]
};

// KvWriteProblem in cpu/attention_cpu.h. A place outside the pages is written nowhere, and the row's queries become
// NaN.
struct KvWriteParams {
  void* q;  // [tokens, heads, dim], or null
  long long q_token_stride;
  long long q_head_stride;
  const void* k;  // [tokens, kv_heads, dim]
  long long k_token_stride;
  long long k_head_stride;
  const void* v;
  long long v_token_stride;
  long long v_head_stride;
  const float* cos;  // [tokens, dim / 2], or null, with sin, to turn nothing
  const float* sin;
  const long long* places;  // [tokens]
  void* keys;               // [pages, kv_heads, dim, positions]
  void* values;             // [pages, kv_heads, positions, dim]
  long long pages;
  int tokens;
  int heads;
  int kv_heads;
  int dim;
  int positions;
};

// The shapes of the kernels that the host needs to launch them; threads are those of a block.
constexpr int kMaxNormThreads = 1024;
constexpr int kNormWarps = 4;       // rows of a block where a warp takes a row
constexpr int kWarpNormSize = 512;  // up to which a warp does
constexpr int kSiluMulThreads = 256;
constexpr int kVector = 8;                                   // elements that a thread loads at once
constexpr int kSiluMulElements = kSiluMulThreads * kVector;  // that a block takes
constexpr int kArgmaxThreads = 256;
constexpr int kArgmaxPart = 8192;
constexpr int kMaxGridY = 65535;  // blocks of a grid along its second axis
constexpr int kKvWriteThreads = 128;
constexpr int kKvWriteTokens = 16;  // rows that a block takes: a page's positions of one component fill 32 bytes
constexpr int kKvWritePitch = kKvWriteTokens + 2;  // elements, of keys in shared memory

// Bytes of shared memory.
constexpr int kNormShared = kWarp * 4;
constexpr int kArgmaxShared = kArgmaxThreads / kWarp * 8;
DJL_LORA_BOTH constexpr int KvWriteShared(int dim) { return dim * kKvWritePitch * 2; }

}  // namespace cuda
}  // namespace djl_lora

#endif  // DJL_LORA_CUDA_KERNELS_LAYERS_ABI_H_
