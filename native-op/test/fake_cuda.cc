// SPDX-License-Identifier: Apache-2.0
//
// Compiled several times: with DJL_LORA_FAKE_OLD it lacks what drivers before CUDA 11.8 lack, with
// DJL_LORA_FAKE_LACKING a function that every driver has.
#include "fake_cuda.h"

#include <cstdlib>
#include <cstring>
#include <memory>

namespace djl_lora {
namespace {

std::unique_ptr<FakeCuda>& Owner() {
  static std::unique_ptr<FakeCuda> state;
  return state;
}

FakeCuda& State() { return *Owner(); }

thread_local CuContext current = nullptr;

// The result that a test wants of a function.
CuResult Planned(const char* function) {
  const std::lock_guard<std::mutex> lock(State().mutex);
  const auto at = State().results.find(function);
  return at == State().results.end() ? kCuSuccess : at->second;
}

// A context is its device's number plus 1, and a function the address of its name.
CuContext ContextOf(CuDevice device) { return reinterpret_cast<CuContext>(static_cast<intptr_t>(device) + 1); }
CuDevice DeviceOf(CuContext context) { return static_cast<CuDevice>(reinterpret_cast<intptr_t>(context)) - 1; }

CuResult Run(FakeLaunch launch, void** arguments) {
  const std::lock_guard<std::mutex> lock(State().mutex);
  if (launch.kernel == "djl_lora_self_test") {
    auto* values = *static_cast<uint32_t**>(arguments[0]);
    const uint32_t count = *static_cast<uint32_t*>(arguments[1]);
    const uint32_t seed = *static_cast<uint32_t*>(arguments[2]);
    for (uint32_t i = 0; i < count; ++i) {
      values[i] = seed * 31 + i + State().self_test_error;
    }
  }
  State().launches.push_back(std::move(launch));
  return kCuSuccess;
}

}  // namespace

#define FAKE(symbol, ...) extern "C" __attribute__((visibility("default"))) CuResult symbol(__VA_ARGS__)
#define PLANNED(symbol)                            \
  if (const CuResult planned = Planned(#symbol)) { \
    return planned;                                \
  }

extern "C" __attribute__((visibility("default"))) FakeCuda* fake_cuda() {
  Owner() = std::make_unique<FakeCuda>();
  current = nullptr;
  return Owner().get();
}

FAKE(cuInit, uint32_t flags) {
  PLANNED(cuInit)
  return flags == 0 ? kCuSuccess : kCuErrorInvalidValue;
}

FAKE(cuDriverGetVersion, int32_t* version) {
  PLANNED(cuDriverGetVersion)
  *version = State().version;
  return kCuSuccess;
}

FAKE(cuGetErrorName, CuResult code, const char** name) {
  if (code == 999) {
    return kCuErrorInvalidValue;
  }
  *name = code == kCuErrorNoDevice ? "CUDA_ERROR_NO_DEVICE" : "CUDA_ERROR_OF_A_TEST";
  return kCuSuccess;
}

FAKE(cuGetErrorString, CuResult code, const char** text) {
  if (code == 999) {
    return kCuErrorInvalidValue;
  }
  *text = code == kCuErrorNoDevice ? "no CUDA-capable device is detected" : "a test wants it";
  return kCuSuccess;
}

FAKE(cuDeviceGetCount, int32_t* count) {
  PLANNED(cuDeviceGetCount)
  *count = static_cast<int32_t>(State().devices.size());
  return kCuSuccess;
}

FAKE(cuDeviceGet, CuDevice* device, int32_t ordinal) {
  PLANNED(cuDeviceGet)
  *device = ordinal;
  return kCuSuccess;
}

FAKE(cuDeviceGetName, char* name, int32_t length, CuDevice device) {
  PLANNED(cuDeviceGetName)
  std::strncpy(name, State().devices[static_cast<size_t>(device)].name.c_str(), static_cast<size_t>(length));
  return kCuSuccess;
}

FAKE(cuDeviceGetAttribute, int32_t* value, int32_t attribute, CuDevice device) {
  PLANNED(cuDeviceGetAttribute)
  const FakeDevice& info = State().devices[static_cast<size_t>(device)];
  switch (attribute) {
    case kCuDeviceComputeMajor:
      *value = info.major;
      return kCuSuccess;
    case kCuDeviceComputeMinor:
      *value = info.minor;
      return kCuSuccess;
    case kCuDeviceSharedBytesOptIn:
      *value = info.shared_bytes;
      return kCuSuccess;
    case kCuDeviceMultiprocessors:
      *value = 132;
      return kCuSuccess;
    case kCuDeviceL2Bytes:
      *value = 60 << 20;
      return kCuSuccess;
    default:
      return kCuErrorInvalidValue;
  }
}

FAKE(cuDeviceTotalMem_v2, size_t* bytes, CuDevice) {
  PLANNED(cuDeviceTotalMem_v2)
  *bytes = size_t{80} << 30;
  return kCuSuccess;
}

FAKE(cuDevicePrimaryCtxRetain, CuContext* context, CuDevice device) {
  PLANNED(cuDevicePrimaryCtxRetain)
  const std::lock_guard<std::mutex> lock(State().mutex);
  ++State().contexts;
  *context = ContextOf(device);
  return kCuSuccess;
}

FAKE(cuDevicePrimaryCtxRelease_v2, CuDevice) {
  const std::lock_guard<std::mutex> lock(State().mutex);
  --State().contexts;
  return kCuSuccess;
}

FAKE(cuCtxGetCurrent, CuContext* context) {
  PLANNED(cuCtxGetCurrent)
  *context = current;
  return kCuSuccess;
}

FAKE(cuCtxSetCurrent, CuContext context) {
  PLANNED(cuCtxSetCurrent)
  current = context;
  return kCuSuccess;
}

FAKE(cuCtxGetDevice, CuDevice* device) {
  PLANNED(cuCtxGetDevice)
  *device = DeviceOf(current);
  return kCuSuccess;
}

FAKE(cuCtxSynchronize) { return Planned("cuCtxSynchronize"); }

FAKE(cuModuleLoadDataEx, CuModule* module, const void* image, uint32_t count, int32_t* options, void** values) {
  PLANNED(cuModuleLoadDataEx)
  const std::lock_guard<std::mutex> lock(State().mutex);
  char* log = nullptr;
  for (uint32_t i = 0; i < count; ++i) {
    if (options[i] == kCuJitErrorLog) {
      log = static_cast<char*>(values[i]);
    }
  }
  if (State().load) {
    if (const CuResult result = State().load(image, log)) {
      return result;
    }
  }
  State().images.push_back(image);
  ++State().modules;
  *module = reinterpret_cast<CuModule>(const_cast<void*>(image));
  return kCuSuccess;
}

FAKE(cuModuleUnload, CuModule) {
  const std::lock_guard<std::mutex> lock(State().mutex);
  --State().modules;
  return kCuSuccess;
}

FAKE(cuModuleGetFunction, CuFunction* function, CuModule, const char* name) {
  PLANNED(cuModuleGetFunction)
  const std::lock_guard<std::mutex> lock(State().mutex);
  if (State().find) {
    if (const CuResult result = State().find(name)) {
      return result;
    }
  }
  static std::map<std::string, std::unique_ptr<std::string>> names;
  std::unique_ptr<std::string>& kept = names[name];
  if (kept == nullptr) {
    kept = std::make_unique<std::string>(name);
  }
  *function = reinterpret_cast<CuFunction>(kept.get());
  return kCuSuccess;
}

FAKE(cuFuncGetAttribute, int32_t* value, int32_t attribute, CuFunction) {
  PLANNED(cuFuncGetAttribute)
  *value = attribute == kCuFunctionStaticSharedBytes ? State().static_shared_bytes
           : attribute == kCuFunctionPtxVersion      ? State().ptx_version
                                                     : 0;
  return kCuSuccess;
}

FAKE(cuFuncSetAttribute, CuFunction, int32_t attribute, int32_t value) {
  PLANNED(cuFuncSetAttribute)
  const std::lock_guard<std::mutex> lock(State().mutex);
  State().function_attributes.emplace_back(attribute, value);
  return kCuSuccess;
}

FAKE(cuOccupancyMaxActiveBlocksPerMultiprocessor, int32_t* blocks, CuFunction, int32_t, size_t) {
  *blocks = 2;
  return kCuSuccess;
}

FAKE(cuLaunchKernel, CuFunction function, uint32_t grid_x, uint32_t grid_y, uint32_t grid_z, uint32_t block_x,
     uint32_t block_y, uint32_t block_z, uint32_t shared_bytes, CuStream stream, void** arguments, void**) {
  PLANNED(cuLaunchKernel)
  return Run({*reinterpret_cast<std::string*>(function),
              {grid_x, grid_y, grid_z},
              {block_x, block_y, block_z},
              shared_bytes,
              stream,
              false,
              {}},
             arguments);
}

#if !defined(DJL_LORA_FAKE_OLD)
FAKE(cuLaunchKernelEx, const CuLaunchConfig* config, CuFunction function, void** arguments, void**) {
  PLANNED(cuLaunchKernelEx)
  return Run({*reinterpret_cast<std::string*>(function),
              {config->grid[0], config->grid[1], config->grid[2]},
              {config->block[0], config->block[1], config->block[2]},
              config->shared_bytes,
              config->stream,
              true,
              {config->attributes, config->attributes + config->attribute_count}},
             arguments);
}
#endif

FAKE(cuMemGetInfo_v2, size_t* free_bytes, size_t* total_bytes) {
  PLANNED(cuMemGetInfo_v2)
  *free_bytes = size_t{60} << 30;
  *total_bytes = size_t{80} << 30;
  return kCuSuccess;
}

FAKE(cuMemAlloc_v2, CuDevicePtr* address, size_t bytes) {
  PLANNED(cuMemAlloc_v2)
  const std::lock_guard<std::mutex> lock(State().mutex);
  ++State().allocations;
  *address = reinterpret_cast<CuDevicePtr>(std::malloc(bytes));
  return kCuSuccess;
}

FAKE(cuMemFree_v2, CuDevicePtr address) {
  const std::lock_guard<std::mutex> lock(State().mutex);
  --State().allocations;
  std::free(reinterpret_cast<void*>(address));
  return kCuSuccess;
}

FAKE(cuMemcpyAsync, CuDevicePtr target, CuDevicePtr source, size_t bytes, CuStream) {
  PLANNED(cuMemcpyAsync)
  std::memmove(reinterpret_cast<void*>(target), reinterpret_cast<const void*>(source), bytes);
  return kCuSuccess;
}

FAKE(cuMemcpyHtoDAsync_v2, CuDevicePtr target, const void* source, size_t bytes, CuStream) {
  PLANNED(cuMemcpyHtoDAsync_v2)
  std::memcpy(reinterpret_cast<void*>(target), source, bytes);
  return kCuSuccess;
}

FAKE(cuMemcpyDtoHAsync_v2, void* target, CuDevicePtr source, size_t bytes, CuStream) {
  PLANNED(cuMemcpyDtoHAsync_v2)
  std::memcpy(target, reinterpret_cast<const void*>(source), bytes);
  return kCuSuccess;
}

FAKE(cuMemcpyDtoDAsync_v2, CuDevicePtr target, CuDevicePtr source, size_t bytes, CuStream) {
  PLANNED(cuMemcpyDtoDAsync_v2)
  std::memmove(reinterpret_cast<void*>(target), reinterpret_cast<const void*>(source), bytes);
  return kCuSuccess;
}

FAKE(cuMemsetD8Async, CuDevicePtr target, uint8_t value, size_t bytes, CuStream) {
  PLANNED(cuMemsetD8Async)
  std::memset(reinterpret_cast<void*>(target), value, bytes);
  return kCuSuccess;
}

FAKE(cuStreamSynchronize, CuStream) { return Planned("cuStreamSynchronize"); }
FAKE(cuStreamWaitEvent, CuStream, CuEvent, uint32_t) { return Planned("cuStreamWaitEvent"); }

#if !defined(DJL_LORA_FAKE_LACKING)
FAKE(cuStreamIsCapturing, CuStream, int32_t* capturing) {
  PLANNED(cuStreamIsCapturing)
  *capturing = State().capturing ? 1 : 0;
  return kCuSuccess;
}
#endif

FAKE(cuEventCreate, CuEvent* event, uint32_t) {
  PLANNED(cuEventCreate)
  *event = nullptr;
  const std::lock_guard<std::mutex> lock(State().mutex);
  ++State().events;
  return kCuSuccess;
}

FAKE(cuEventDestroy_v2, CuEvent) {
  const std::lock_guard<std::mutex> lock(State().mutex);
  --State().events;
  return kCuSuccess;
}

FAKE(cuEventRecord, CuEvent, CuStream) { return Planned("cuEventRecord"); }
FAKE(cuEventQuery, CuEvent) { return Planned("cuEventQuery"); }
FAKE(cuEventSynchronize, CuEvent) { return Planned("cuEventSynchronize"); }

FAKE(cuEventElapsedTime, float* milliseconds, CuEvent, CuEvent) {
  PLANNED(cuEventElapsedTime)
  *milliseconds = 1;
  return kCuSuccess;
}

}  // namespace djl_lora
