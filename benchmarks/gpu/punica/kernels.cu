// SPDX-License-Identifier: Apache-2.0
//
// Punica's BGMV behind two C functions, for the shapes that bench.py measures. Its header is fetched (../fetch.sh).
#include <cstdint>

#include "bgmv_impl.cuh"

namespace {

// y[i, offset : offset + out] += scale * x[i] * w[slots[i]]^T, w [adapters, out, in]
struct Call {
  void* y;
  const void* x;
  const void* w;
  const int64_t* slots;
  int64_t offset;
  int64_t y_columns;
  int64_t rows;
  float scale;
};

template <int kIn, int kOut, typename X, typename Y>
void Run(const Call& call) {
  bgmv_kernel<kIn, kOut, X, Y, nv_bfloat16>(static_cast<Y*>(call.y), static_cast<const X*>(call.x),
                                            static_cast<const nv_bfloat16*>(call.w), call.slots, call.offset,
                                            call.y_columns, call.rows, 1, 0, call.scale);
}

template <int kRank>
bool Shrink(int64_t in, const Call& call) {
  switch (in) {
    case 4096:
      Run<4096, kRank, nv_bfloat16, float>(call);
      return true;
    case 14336:
      Run<14336, kRank, nv_bfloat16, float>(call);
      return true;
    default:
      return false;
  }
}

template <int kRank>
bool Expand(int64_t out, const Call& call) {
  switch (out) {
    case 1024:
      Run<kRank, 1024, float, nv_bfloat16>(call);
      return true;
    case 4096:
      Run<kRank, 4096, float, nv_bfloat16>(call);
      return true;
    case 14336:
      Run<kRank, 14336, float, nv_bfloat16>(call);
      return true;
    default:
      return false;
  }
}

// What the functions below return: 0 when the kernel was launched, -1 for a shape that was not compiled, or CUDA's error.
int Result(bool compiled) { return compiled ? static_cast<int>(cudaGetLastError()) : -1; }

}  // namespace

// y float32 [rows, rank], x bfloat16 [rows, in], w bfloat16 [adapters, rank, in]
extern "C" int djl_lora_punica_shrink(void* stream, void* y, const void* x, const void* w, const int64_t* slots,
                                      int64_t in, int64_t rank, int64_t rows) {
  at::cuda::the_stream = static_cast<cudaStream_t>(stream);
  const Call call{y, x, w, slots, 0, rank, rows, 1.0f};
  switch (rank) {
    case 16:
      return Result(Shrink<16>(in, call));
    case 64:
      return Result(Shrink<64>(in, call));
    case 128:
      return Result(Shrink<128>(in, call));
    default:
      return -1;
  }
}

// y bfloat16 [rows, y_columns], x float32 [rows, rank], w bfloat16 [adapters, out, rank]
extern "C" int djl_lora_punica_expand(void* stream, void* y, const void* x, const void* w, const int64_t* slots,
                                      int64_t rank, int64_t out, int64_t offset, int64_t y_columns, int64_t rows) {
  at::cuda::the_stream = static_cast<cudaStream_t>(stream);
  const Call call{y, x, w, slots, offset, y_columns, rows, 1.0f};
  switch (rank) {
    case 16:
      return Result(Expand<16>(out, call));
    case 64:
      return Result(Expand<64>(out, call));
    case 128:
      return Result(Expand<128>(out, call));
    default:
      return -1;
  }
}
