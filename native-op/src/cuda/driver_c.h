// SPDX-License-Identifier: Apache-2.0
//
// The part of CUDA's driver API that this library uses, declared by hand so that the build needs no CUDA header. Where
// nvcc is there, test/cuda_abi_test.cc compares it with cuda.h.
#ifndef DJL_LORA_CUDA_DRIVER_C_H_
#define DJL_LORA_CUDA_DRIVER_C_H_

#include <cstddef>
#include <cstdint>

namespace djl_lora {

struct CuContextOpaque;
struct CuModuleOpaque;
struct CuFunctionOpaque;
struct CuStreamOpaque;
struct CuEventOpaque;

using CuResult = int32_t;
using CuDevice = int32_t;
using CuDevicePtr = unsigned long long;  // NOLINT(google-runtime-int): the driver's own type
using CuContext = CuContextOpaque*;
using CuModule = CuModuleOpaque*;
using CuFunction = CuFunctionOpaque*;
using CuStream = CuStreamOpaque*;  // null is the default stream
using CuEvent = CuEventOpaque*;

inline constexpr CuResult kCuSuccess = 0;
inline constexpr CuResult kCuErrorInvalidValue = 1;
inline constexpr CuResult kCuErrorOutOfMemory = 2;
inline constexpr CuResult kCuErrorNoDevice = 100;
inline constexpr CuResult kCuErrorInvalidImage = 200;
inline constexpr CuResult kCuErrorNoBinaryForGpu = 209;
inline constexpr CuResult kCuErrorInvalidPtx = 218;
inline constexpr CuResult kCuErrorUnsupportedPtxVersion = 222;
inline constexpr CuResult kCuErrorNotFound = 500;
inline constexpr CuResult kCuErrorNotReady = 600;

inline constexpr int32_t kCuDeviceMultiprocessors = 16;
inline constexpr int32_t kCuDeviceL2Bytes = 38;
inline constexpr int32_t kCuDeviceComputeMajor = 75;
inline constexpr int32_t kCuDeviceComputeMinor = 76;
inline constexpr int32_t kCuDeviceSharedBytesOptIn = 97;

inline constexpr int32_t kCuFunctionStaticSharedBytes = 1;
inline constexpr int32_t kCuFunctionPtxVersion = 5;  // 10 times major plus minor of the virtual architecture
inline constexpr int32_t kCuFunctionDynamicSharedBytes = 8;
inline constexpr int32_t kCuFunctionLargeClusters = 14;  // more blocks than every device allows, which are 8

inline constexpr int32_t kCuJitErrorLog = 5;
inline constexpr int32_t kCuJitErrorLogBytes = 6;

inline constexpr uint32_t kCuEventDisableTiming = 2;

inline constexpr int32_t kCuLaunchClusterDimension = 4;
inline constexpr int32_t kCuLaunchProgrammaticSerialization = 6;

union CuLaunchValue {
  char padding[64];
  uint32_t cluster[3];
  int32_t programmatic_serialization;
};

struct CuLaunchAttribute {
  int32_t id;
  char padding[4];
  CuLaunchValue value;
};

struct CuLaunchConfig {
  uint32_t grid[3];
  uint32_t block[3];
  uint32_t shared_bytes;
  CuStream stream;
  CuLaunchAttribute* attributes;
  uint32_t attribute_count;
};

// Name, symbol in the library, and arguments of each function. Those whose symbols end in _v2 have an older form of the
// plain name, which takes 32-bit sizes.
// NOLINTBEGIN(cppcoreguidelines-macro-usage)
#define DJL_LORA_CUDA_FUNCTIONS(X)                                                                                    \
  X(cuInit, cuInit, uint32_t)                                                                                         \
  X(cuDriverGetVersion, cuDriverGetVersion, int32_t*)                                                                 \
  X(cuGetErrorName, cuGetErrorName, CuResult, const char**)                                                           \
  X(cuGetErrorString, cuGetErrorString, CuResult, const char**)                                                       \
  X(cuDeviceGetCount, cuDeviceGetCount, int32_t*)                                                                     \
  X(cuDeviceGet, cuDeviceGet, CuDevice*, int32_t)                                                                     \
  X(cuDeviceGetName, cuDeviceGetName, char*, int32_t, CuDevice)                                                       \
  X(cuDeviceGetAttribute, cuDeviceGetAttribute, int32_t*, int32_t, CuDevice)                                          \
  X(cuDeviceTotalMem, cuDeviceTotalMem_v2, size_t*, CuDevice)                                                         \
  X(cuDevicePrimaryCtxRetain, cuDevicePrimaryCtxRetain, CuContext*, CuDevice)                                         \
  X(cuDevicePrimaryCtxRelease, cuDevicePrimaryCtxRelease_v2, CuDevice)                                                \
  X(cuCtxGetCurrent, cuCtxGetCurrent, CuContext*)                                                                     \
  X(cuCtxSetCurrent, cuCtxSetCurrent, CuContext)                                                                      \
  X(cuCtxSynchronize, cuCtxSynchronize)                                                                               \
  X(cuCtxGetDevice, cuCtxGetDevice, CuDevice*)                                                                        \
  X(cuModuleLoadDataEx, cuModuleLoadDataEx, CuModule*, const void*, uint32_t, int32_t*, void**)                       \
  X(cuModuleUnload, cuModuleUnload, CuModule)                                                                         \
  X(cuModuleGetFunction, cuModuleGetFunction, CuFunction*, CuModule, const char*)                                     \
  X(cuFuncGetAttribute, cuFuncGetAttribute, int32_t*, int32_t, CuFunction)                                            \
  X(cuFuncSetAttribute, cuFuncSetAttribute, CuFunction, int32_t, int32_t)                                             \
  X(cuOccupancyMaxActiveBlocksPerMultiprocessor, cuOccupancyMaxActiveBlocksPerMultiprocessor, int32_t*, CuFunction,   \
    int32_t, size_t)                                                                                                  \
  X(cuLaunchKernel, cuLaunchKernel, CuFunction, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, \
    CuStream, void**, void**)                                                                                         \
  X(cuMemGetInfo, cuMemGetInfo_v2, size_t*, size_t*)                                                                  \
  X(cuMemAlloc, cuMemAlloc_v2, CuDevicePtr*, size_t)                                                                  \
  X(cuMemFree, cuMemFree_v2, CuDevicePtr)                                                                             \
  X(cuMemcpyAsync, cuMemcpyAsync, CuDevicePtr, CuDevicePtr, size_t, CuStream)                                         \
  X(cuMemcpyHtoDAsync, cuMemcpyHtoDAsync_v2, CuDevicePtr, const void*, size_t, CuStream)                              \
  X(cuMemcpyDtoHAsync, cuMemcpyDtoHAsync_v2, void*, CuDevicePtr, size_t, CuStream)                                    \
  X(cuMemcpyDtoDAsync, cuMemcpyDtoDAsync_v2, CuDevicePtr, CuDevicePtr, size_t, CuStream)                              \
  X(cuMemsetD8Async, cuMemsetD8Async, CuDevicePtr, uint8_t, size_t, CuStream)                                         \
  X(cuStreamSynchronize, cuStreamSynchronize, CuStream)                                                               \
  X(cuStreamWaitEvent, cuStreamWaitEvent, CuStream, CuEvent, uint32_t)                                                \
  X(cuStreamIsCapturing, cuStreamIsCapturing, CuStream, int32_t*)                                                     \
  X(cuEventCreate, cuEventCreate, CuEvent*, uint32_t)                                                                 \
  X(cuEventDestroy, cuEventDestroy_v2, CuEvent)                                                                       \
  X(cuEventRecord, cuEventRecord, CuEvent, CuStream)                                                                  \
  X(cuEventQuery, cuEventQuery, CuEvent)                                                                              \
  X(cuEventSynchronize, cuEventSynchronize, CuEvent)                                                                  \
  X(cuEventElapsedTime, cuEventElapsedTime, float*, CuEvent, CuEvent)

// Those that drivers before CUDA 11.8 lack.
#define DJL_LORA_CUDA_OPTIONAL_FUNCTIONS(X) \
  X(cuLaunchKernelEx, cuLaunchKernelEx, const CuLaunchConfig*, CuFunction, void**, void**)
// NOLINTEND(cppcoreguidelines-macro-usage)

}  // namespace djl_lora

#endif  // DJL_LORA_CUDA_DRIVER_C_H_
