// SPDX-License-Identifier: Apache-2.0
//
// Compares what src/cuda/driver_c.h declares by hand with CUDA's own header. Only built where nvcc's headers are.
#include <cuda.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <type_traits>

#include "cuda/driver_c.h"

namespace djl_lora {
namespace {

// Whether calls that are compiled against one of two parameter or result types work with the other.
template <typename Ours, typename Theirs>
constexpr bool kSameParameter = sizeof(Ours) == sizeof(Theirs) &&
                                std::is_pointer_v<Ours> == std::is_pointer_v<Theirs>&& std::is_floating_point_v<Ours> ==
                                    std::is_floating_point_v<Theirs>;

template <typename Ours, typename Theirs>
struct SameFunction : std::false_type {};

template <typename... Ours, typename... Theirs>
struct SameFunction<CuResult (*)(Ours...), CUresult (*)(Theirs...)> {
  static constexpr bool Compare() {
    if constexpr (sizeof...(Ours) == sizeof...(Theirs)) {
      return (kSameParameter<Ours, Theirs> && ...);
    }
    return false;
  }
  static constexpr bool value = Compare();
};

template <typename... Arguments>
using OurFunction = CuResult (*)(Arguments...);

#define DJL_LORA_CUDA_COMPARE(name, symbol, ...) \
  static_assert(SameFunction<OurFunction<__VA_ARGS__>, decltype(&::symbol)>::value, #symbol);
DJL_LORA_CUDA_FUNCTIONS(DJL_LORA_CUDA_COMPARE)
DJL_LORA_CUDA_OPTIONAL_FUNCTIONS(DJL_LORA_CUDA_COMPARE)
#undef DJL_LORA_CUDA_COMPARE

static_assert(sizeof(CuResult) == sizeof(CUresult));
static_assert(sizeof(CuDevice) == sizeof(CUdevice));
static_assert(std::is_same_v<CuDevicePtr, CUdeviceptr>);

static_assert(kCuSuccess == CUDA_SUCCESS);
static_assert(kCuErrorInvalidValue == CUDA_ERROR_INVALID_VALUE);
static_assert(kCuErrorOutOfMemory == CUDA_ERROR_OUT_OF_MEMORY);
static_assert(kCuErrorNoDevice == CUDA_ERROR_NO_DEVICE);
static_assert(kCuErrorInvalidImage == CUDA_ERROR_INVALID_IMAGE);
static_assert(kCuErrorNoBinaryForGpu == CUDA_ERROR_NO_BINARY_FOR_GPU);
static_assert(kCuErrorInvalidPtx == CUDA_ERROR_INVALID_PTX);
static_assert(kCuErrorUnsupportedPtxVersion == CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
static_assert(kCuErrorNotFound == CUDA_ERROR_NOT_FOUND);
static_assert(kCuErrorNotReady == CUDA_ERROR_NOT_READY);

static_assert(kCuDeviceMultiprocessors == CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
static_assert(kCuDeviceL2Bytes == CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE);
static_assert(kCuDeviceComputeMajor == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
static_assert(kCuDeviceComputeMinor == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
static_assert(kCuDeviceSharedBytesOptIn == CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
static_assert(kCuFunctionStaticSharedBytes == CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES);
static_assert(kCuFunctionPtxVersion == CU_FUNC_ATTRIBUTE_PTX_VERSION);
static_assert(kCuFunctionDynamicSharedBytes == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
static_assert(kCuFunctionLargeClusters == CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED);
static_assert(kCuJitErrorLog == CU_JIT_ERROR_LOG_BUFFER);
static_assert(kCuJitErrorLogBytes == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES);
static_assert(kCuEventDisableTiming == CU_EVENT_DISABLE_TIMING);
static_assert(kCuLaunchClusterDimension == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION);
static_assert(kCuLaunchProgrammaticSerialization == CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION);

static_assert(sizeof(CuLaunchValue) == sizeof(CUlaunchAttributeValue));
static_assert(offsetof(CUlaunchAttributeValue, clusterDim) == 0);
static_assert(sizeof(CUlaunchAttributeValue::clusterDim) == sizeof(CuLaunchValue::cluster));
static_assert(sizeof(CuLaunchAttribute) == sizeof(CUlaunchAttribute));
static_assert(offsetof(CuLaunchAttribute, id) == offsetof(CUlaunchAttribute, id));
static_assert(offsetof(CuLaunchAttribute, value) == offsetof(CUlaunchAttribute, value));
static_assert(sizeof(CuLaunchConfig) == sizeof(CUlaunchConfig));
static_assert(offsetof(CuLaunchConfig, grid) == offsetof(CUlaunchConfig, gridDimX));
static_assert(offsetof(CuLaunchConfig, block) == offsetof(CUlaunchConfig, blockDimX));
static_assert(offsetof(CuLaunchConfig, shared_bytes) == offsetof(CUlaunchConfig, sharedMemBytes));
static_assert(offsetof(CuLaunchConfig, stream) == offsetof(CUlaunchConfig, hStream));
static_assert(offsetof(CuLaunchConfig, attributes) == offsetof(CUlaunchConfig, attrs));
static_assert(offsetof(CuLaunchConfig, attribute_count) == offsetof(CUlaunchConfig, numAttrs));

// What is compared, is compared above, by the compiler.
TEST(CudaAbiTest, OurDeclarationsAreCudasOwn) { SUCCEED() << "CUDA " << CUDA_VERSION; }

}  // namespace
}  // namespace djl_lora
