// SPDX-License-Identifier: Apache-2.0
//
// What the kernels need of a GPU, as functions: threads, memory, tensor cores. Either of nvcc and NVRTC (PTX ISA 8), or
// of the tests' emulator, which runs the same kernels on the host.
#ifndef DJL_LORA_CUDA_KERNELS_PLATFORM_H_
#define DJL_LORA_CUDA_KERNELS_PLATFORM_H_

#include "abi.h"

#ifdef DJL_LORA_EMULATE
#include "cuda/emulated_platform.h"
#else

#define DJL_LORA_DEVICE static __device__ __forceinline__
#define DJL_LORA_DEVICE_MEMBER __device__ __forceinline__
#define DJL_LORA_PRAGMA(text) _Pragma(#text)
#define DJL_LORA_UNROLL _Pragma("unroll")
#define DJL_LORA_KEEP_LOOP _Pragma("unroll 1")
#define DJL_LORA_UNROLL_BY(times) DJL_LORA_PRAGMA(unroll times)
#if __CUDA_ARCH__ >= 900
#define DJL_LORA_CLUSTERS
#endif
// blocks: how many of them are to fit on a multiprocessor, which bounds the registers.
#define DJL_LORA_KERNEL(name, threads, blocks)                  \
  extern "C" __global__ void __launch_bounds__(threads, blocks) \
      name(const __grid_constant__ djl_lora::cuda::SgmvParams params)
// The same with parameters of another type.
#define DJL_LORA_KERNEL_OF(Params, name, threads, blocks)       \
  extern "C" __global__ void __launch_bounds__(threads, blocks) \
      name(const __grid_constant__ djl_lora::cuda::Params params)

namespace djl_lora {
namespace cuda {

// The 16-bit element types.
struct Float16 {};
struct BFloat16 {};

struct alignas(8) Vec8 {
  unsigned v[2];
};
struct alignas(16) Vec16 {
  unsigned v[4];
};
struct alignas(16) Floats4 {
  float v[4];
};

DJL_LORA_DEVICE int ThreadIndex() { return static_cast<int>(threadIdx.x); }
DJL_LORA_DEVICE int BlockX() { return static_cast<int>(blockIdx.x); }
DJL_LORA_DEVICE int BlockY() { return static_cast<int>(blockIdx.y); }
DJL_LORA_DEVICE int BlockZ() { return static_cast<int>(blockIdx.z); }
DJL_LORA_DEVICE void SyncBlock() { __syncthreads(); }

DJL_LORA_DEVICE char* SharedMemory() {
  extern __shared__ __align__(16) char shared[];
  return shared;
}

DJL_LORA_DEVICE int ShuffleUp(int value, int distance) { return __shfl_up_sync(0xffffffffu, value, distance); }
DJL_LORA_DEVICE int Shuffle(int value, int lane) { return __shfl_sync(0xffffffffu, value, lane); }

// Weights are read once by one block: they need not stay in the L1 cache.
DJL_LORA_DEVICE Vec16 LoadWeights16(const void* address) {
  Vec16 value;
  asm volatile("ld.global.nc.L1::no_allocate.L2::128B.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(value.v[0]), "=r"(value.v[1]), "=r"(value.v[2]), "=r"(value.v[3])
               : "l"(address));
  return value;
}
DJL_LORA_DEVICE Vec8 LoadWeights8(const void* address) {
  Vec8 value;
  asm volatile("ld.global.nc.L1::no_allocate.L2::128B.v2.u32 {%0, %1}, [%2];"
               : "=r"(value.v[0]), "=r"(value.v[1])
               : "l"(address));
  return value;
}
// Of memory that the kernel does not write.
template <typename V>
DJL_LORA_DEVICE V Load(const V* address) {
  return __ldg(address);
}
DJL_LORA_DEVICE Vec16 Load16(const void* address) {
  const uint4 value = __ldg(static_cast<const uint4*>(address));
  return {{value.x, value.y, value.z, value.w}};
}
// Of memory that this kernel or the one before writes.
DJL_LORA_DEVICE Vec16 LoadWritten16(const void* address) {
  const uint4 value = *static_cast<const uint4*>(address);
  return {{value.x, value.y, value.z, value.w}};
}
DJL_LORA_DEVICE Floats4 LoadFloats4(const float* address) {
  const float4 value = __ldg(reinterpret_cast<const float4*>(address));
  return {{value.x, value.y, value.z, value.w}};
}
DJL_LORA_DEVICE void Store16(void* address, const Vec16& value) {
  *static_cast<uint4*>(address) = make_uint4(value.v[0], value.v[1], value.v[2], value.v[3]);
}
DJL_LORA_DEVICE float LoadWrittenFloat(const float* address) { return __ldcg(address); }
DJL_LORA_DEVICE void PrefetchWeights(const void* address) { asm volatile("prefetch.global.L2 [%0];" : : "l"(address)); }

DJL_LORA_DEVICE bool Aligned16(const void* address) {
  return (reinterpret_cast<unsigned long long>(address) & 15) == 0;
}
DJL_LORA_DEVICE float BitsToFloat(unsigned bits) { return __uint_as_float(bits); }
DJL_LORA_DEVICE unsigned FloatToBits(float value) { return __float_as_uint(value); }

template <typename T>
DJL_LORA_DEVICE float Widen(unsigned short bits);
template <>
__device__ __forceinline__ float Widen<BFloat16>(unsigned short bits) {
  return __uint_as_float(static_cast<unsigned>(bits) << 16);
}
template <>
__device__ __forceinline__ float Widen<Float16>(unsigned short bits) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
  return value;
}

// To the nearest, ties to even; the first number in the lower half.
template <typename T>
DJL_LORA_DEVICE unsigned RoundPair(float low, float high);
template <>
__device__ __forceinline__ unsigned RoundPair<BFloat16>(float low, float high) {
  unsigned bits;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
  return bits;
}
template <>
__device__ __forceinline__ unsigned RoundPair<Float16>(float low, float high) {
  unsigned bits;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
  return bits;
}

// float32 with the low 13 bits of the fraction rounded away, as the tensor cores take it.
DJL_LORA_DEVICE unsigned RoundToTf32(float value) {
  unsigned bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(value));
  return bits;
}

// sums += a · b for a tile of 16 rows, 8 columns and 16 features, over the 32 lanes (PTX ISA, mma.m16n8k16).
template <typename T>
DJL_LORA_DEVICE void Multiply(float (&sums)[4], unsigned a0, unsigned a1, unsigned a2, unsigned a3, unsigned b0,
                              unsigned b1);
template <>
__device__ __forceinline__ void Multiply<BFloat16>(float (&sums)[4], unsigned a0, unsigned a1, unsigned a2, unsigned a3,
                                                   unsigned b0, unsigned b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}
template <>
__device__ __forceinline__ void Multiply<Float16>(float (&sums)[4], unsigned a0, unsigned a1, unsigned a2, unsigned a3,
                                                  unsigned b0, unsigned b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}
// The same for 8 features in tf32 (mma.m16n8k8).
DJL_LORA_DEVICE void MultiplyTf32(float (&sums)[4], unsigned a0, unsigned a1, unsigned a2, unsigned a3, unsigned b0,
                                  unsigned b1) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

DJL_LORA_DEVICE int ThreadCount() { return static_cast<int>(blockDim.x); }
DJL_LORA_DEVICE float ShuffleXor(float value, int mask) { return __shfl_xor_sync(0xffffffffu, value, mask); }
DJL_LORA_DEVICE int ShuffleXor(int value, int mask) { return __shfl_xor_sync(0xffffffffu, value, mask); }
// A barrier of the warp, behind which its lanes see what the others wrote.
DJL_LORA_DEVICE void SyncWarp() { __syncwarp(); }
DJL_LORA_DEVICE bool AnyInWarp(bool condition) { return __any_sync(0xffffffffu, condition ? 1 : 0) != 0; }
// Whether the condition holds in any thread of the block; a barrier, too.
DJL_LORA_DEVICE bool AnyInBlock(bool condition) { return __syncthreads_or(condition ? 1 : 0) != 0; }

DJL_LORA_DEVICE float SquareRoot(float value) { return sqrtf(value); }
// 2^x within two units in the last place; 0 for negative infinity.
DJL_LORA_DEVICE float Exp2(float value) {
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(value));
  return result;
}
// The greater one; the other one where one is NaN.
DJL_LORA_DEVICE float Max(float a, float b) { return fmaxf(a, b); }

// A place in shared memory, to which bytes can be added: the instructions below take such ones, half as wide as
// pointers.
using SharedPlace = unsigned;
DJL_LORA_DEVICE SharedPlace SharedPlaceOf(const void* shared) {
  return static_cast<unsigned>(__cvta_generic_to_shared(shared));
}

// Copies of 16 bytes to shared memory that go on while the thread does: those between two commits are a group, and to
// wait is for all groups of the thread but the latest ones. Others see them after a barrier. Zeros where not `really`.
DJL_LORA_DEVICE void CopyAsync16(SharedPlace shared, const void* global, bool really) {
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;"
               :
               : "r"(shared), "l"(global), "r"(really ? 16 : 0)
               : "memory");
}
DJL_LORA_DEVICE void CommitCopies() { asm volatile("cp.async.commit_group;" : : : "memory"); }
template <int kLatest>
DJL_LORA_DEVICE void WaitForCopies() {
  asm volatile("cp.async.wait_group %0;" : : "n"(kLatest) : "memory");
}

// Four matrices of 8 by 8 elements in shared memory, transposed as a warp's fragments: lane 8 · m + r gives the place
// of row r of matrix m, on a boundary of 16 bytes, and lane 4 · g + t gets of each the rows 2t and 2t + 1 of column g.
DJL_LORA_DEVICE void LoadTransposed(unsigned (&matrices)[4], SharedPlace row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(matrices[0]), "=r"(matrices[1]), "=r"(matrices[2]), "=r"(matrices[3])
               : "r"(row)
               : "memory");
}

// Keeps the first error.
DJL_LORA_DEVICE void Report(DeviceError* error, int code, int segment, int value) {
  if (atomicCAS(&error->code, kNoError, code) == kNoError) {
    error->segment = segment;
    error->value = value;
  }
}

// Programmatic dependent launch: lets the next kernel of the stream begin before this one has ended, and waits until
// the one before has ended and its writes are seen. Does nothing where the launch did not ask for it.
DJL_LORA_DEVICE void LetNextBegin() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" : : : "memory");
#endif
}
DJL_LORA_DEVICE void WaitForPrevious() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" : : : "memory");
#endif
}

// Clusters of blocks, which read each other's shared memory (Hopper and later; elsewhere no kernel asks for it).
DJL_LORA_DEVICE void ArriveAtCluster() {
#if __CUDA_ARCH__ >= 900
  asm volatile("barrier.cluster.arrive.release;" : : : "memory");
#endif
}
DJL_LORA_DEVICE void WaitForCluster() {
#if __CUDA_ARCH__ >= 900
  asm volatile("barrier.cluster.wait.acquire;" : : : "memory");
#endif
}
// A float in the shared memory of another block of the cluster, at the place that it has in this block's.
DJL_LORA_DEVICE float LoadFromBlock(const float* own, int block) {
  float value = 0.0f;
#if __CUDA_ARCH__ >= 900
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(own));
  asm volatile(
      "{\n"
      ".reg .u32 remote;\n"
      "mapa.shared::cluster.u32 remote, %1, %2;\n"
      "ld.shared::cluster.f32 %0, [remote];\n"
      "}\n"
      : "=f"(value)
      : "r"(address), "r"(block)
      : "memory");
#endif
  return value;
}

}  // namespace cuda
}  // namespace djl_lora

#endif  // DJL_LORA_EMULATE

#endif  // DJL_LORA_CUDA_KERNELS_PLATFORM_H_
