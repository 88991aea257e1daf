// SPDX-License-Identifier: Apache-2.0
#include "cuda/driver.h"

#include <cstring>
#include <utility>

#include "common/errors.h"

namespace djl_lora {

// The parameters of a DriverFunction come after the symbol; only the symbol matters here.
#define DJL_LORA_CUDA_FIND(name, symbol, ...) name(this, #name, library->Find(#symbol)),
Driver::Driver(std::unique_ptr<const DynamicLibrary> library)
    : DJL_LORA_CUDA_FUNCTIONS(DJL_LORA_CUDA_FIND) DJL_LORA_CUDA_OPTIONAL_FUNCTIONS(DJL_LORA_CUDA_FIND)
          library_(std::move(library)) {}
#undef DJL_LORA_CUDA_FIND

std::unique_ptr<const Driver> Driver::Load(const char* library) {
  auto opened = std::make_unique<const DynamicLibrary>(library, DynamicLibrary::Mode::kLoad);
  if (!opened->opened()) {
    throw EngineError(Format("no NVIDIA driver: %s", opened->error().c_str()));
  }
  std::unique_ptr<Driver> driver(new Driver(std::move(opened)));
#define DJL_LORA_CUDA_CHECK(name, symbol, ...)                                                            \
  if (!driver->name.found()) {                                                                            \
    throw EngineError(                                                                                    \
        Format("the NVIDIA driver's %s has no function %s; a newer driver is needed", library, #symbol)); \
  }
  DJL_LORA_CUDA_FUNCTIONS(DJL_LORA_CUDA_CHECK)
#undef DJL_LORA_CUDA_CHECK
  driver->Start();
  return driver;
}

Driver::~Driver() {
  for (size_t i = 0; i < contexts_.size(); ++i) {
    if (contexts_[i] != nullptr) {
      cuDevicePrimaryCtxRelease.Try(devices_[i].device);
    }
  }
}

void Driver::Start() {
  cuInit(0);
  cuDriverGetVersion(&version_);
  int32_t count = 0;
  cuDeviceGetCount(&count);
  devices_.reserve(static_cast<size_t>(count));
  for (int32_t i = 0; i < count; ++i) {
    devices_.push_back(Describe(i));
  }
  contexts_.resize(devices_.size());
}

DeviceInfo Driver::Describe(int32_t index) const {
  DeviceInfo info;
  cuDeviceGet(&info.device, index);
  char name[256] = {};
  cuDeviceGetName(name, sizeof(name) - 1, info.device);
  info.name = name;
  cuDeviceGetAttribute(&info.major, kCuDeviceComputeMajor, info.device);
  cuDeviceGetAttribute(&info.minor, kCuDeviceComputeMinor, info.device);
  cuDeviceGetAttribute(&info.multiprocessors, kCuDeviceMultiprocessors, info.device);
  cuDeviceGetAttribute(&info.l2_bytes, kCuDeviceL2Bytes, info.device);
  cuDeviceGetAttribute(&info.shared_bytes, kCuDeviceSharedBytesOptIn, info.device);
  size_t bytes = 0;
  cuDeviceTotalMem(&bytes, info.device);
  info.memory_bytes = static_cast<int64_t>(bytes);
  return info;
}

const DeviceInfo& Driver::device(int32_t index) const {
  if (index < 0 || static_cast<size_t>(index) >= devices_.size()) {
    Refuse("there is no CUDA device %d; there are %zu", static_cast<int>(index), devices_.size());
  }
  return devices_[static_cast<size_t>(index)];
}

CuContext Driver::PrimaryContext(int32_t index) const {
  const DeviceInfo& info = device(index);
  const std::lock_guard<std::mutex> lock(mutex_);
  CuContext& context = contexts_[static_cast<size_t>(index)];
  if (context == nullptr) {
    cuDevicePrimaryCtxRetain(&context, info.device);
  }
  return context;
}

std::string Driver::ErrorText(const char* function, CuResult result) const {
  const char* name = nullptr;
  const char* text = nullptr;
  if (cuGetErrorName.Try(result, &name) != kCuSuccess || name == nullptr) {
    name = "not a known error";
  }
  if (cuGetErrorString.Try(result, &text) != kCuSuccess || text == nullptr) {
    return Format("%s failed: %s, %d", function, name, static_cast<int>(result));
  }
  return Format("%s failed: %s (%s, %d)", function, text, name, static_cast<int>(result));
}

void FailDriver(const Driver& driver, const char* function, CuResult result) {
  throw EngineError(driver.ErrorText(function, result));
}

std::string CudaVersionText(int32_t version) { return Format("%d.%d", version / 1000, version % 1000 / 10); }

const ProcessDriver& FindProcessDriver() {
  // Kept until the process ends: a call may be running then.
  static const ProcessDriver* const found = [] {
    auto* result = new ProcessDriver;
    try {
      result->driver = Driver::Load();
    } catch (const EngineError& failed) {
      result->reason = failed.what();
    }
    return result;
  }();
  return *found;
}

const Driver& RequireDriver() {
  const ProcessDriver& found = FindProcessDriver();
  if (found.driver == nullptr) {
    throw EngineError(found.reason);
  }
  return *found.driver;
}

ScopedContext::ScopedContext(const Driver& driver, int32_t device) : driver_(driver) {
  CuContext context = driver.PrimaryContext(device);
  driver.cuCtxGetCurrent(&before_);
  if (before_ != context) {
    driver.cuCtxSetCurrent(context);
    changed_ = true;
  }
}

ScopedContext::~ScopedContext() {
  if (changed_) {
    driver_.cuCtxSetCurrent.Try(before_);
  }
}

}  // namespace djl_lora
