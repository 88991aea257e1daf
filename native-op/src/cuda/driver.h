// SPDX-License-Identifier: Apache-2.0
//
// CUDA's driver, found at run time: this library is linked against no part of CUDA, so that one file works with and
// without a GPU.
#ifndef DJL_LORA_CUDA_DRIVER_H_
#define DJL_LORA_CUDA_DRIVER_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "compat/dynamic.h"
#include "cuda/driver_c.h"

namespace djl_lora {

class Driver;

// A function of the driver, which throws EngineError with its name, the code and the driver's text when it fails.
template <typename... Arguments>
class DriverFunction {
 public:
  using Pointer = CuResult (*)(Arguments...);

  DriverFunction(const Driver* driver, const char* name, void* address)
      : driver_(driver), name_(name), function_(reinterpret_cast<Pointer>(address)) {}

  bool found() const { return function_ != nullptr; }
  // Returns the code instead of throwing.
  CuResult Try(Arguments... arguments) const { return function_(arguments...); }
  void operator()(Arguments... arguments) const;

 private:
  const Driver* driver_;
  const char* name_;
  Pointer function_;
};

struct DeviceInfo {
  CuDevice device = 0;
  std::string name;
  int32_t major = 0;  // of the compute capability
  int32_t minor = 0;
  int64_t memory_bytes = 0;
  int32_t multiprocessors = 0;
  int32_t l2_bytes = 0;
  int32_t shared_bytes = 0;  // that a block may use at most, where its kernel asks for more than 48 KB
};

// The driver with its devices. May be used by any number of threads.
class Driver {
 public:
  static constexpr const char* kLibrary = "libcuda.so.1";

  // Loads and starts the driver. Throws EngineError, with what to do, when there is none, it lacks a function, or it
  // does not start, as where it sees no device.
  static std::unique_ptr<const Driver> Load(const char* library = kLibrary);

  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;
  ~Driver();

  // The newest CUDA that it serves: 12080 is 12.8.
  int32_t version() const { return version_; }
  const std::vector<DeviceInfo>& devices() const { return devices_; }
  // Throws ArgumentError unless there is such a device. They are numbered as libtorch does.
  const DeviceInfo& device(int32_t index) const;
  // The context that the CUDA runtime, and so libtorch, uses on a device. Made when it is not there yet, and kept for
  // as long as this object lives.
  CuContext PrimaryContext(int32_t index) const;

  // "cuInit failed: no CUDA-capable device is detected (CUDA_ERROR_NO_DEVICE, 100)"
  std::string ErrorText(const char* function, CuResult result) const;

#define DJL_LORA_CUDA_MEMBER(name, symbol, ...) DriverFunction<__VA_ARGS__> name;
  DJL_LORA_CUDA_FUNCTIONS(DJL_LORA_CUDA_MEMBER)
  DJL_LORA_CUDA_OPTIONAL_FUNCTIONS(DJL_LORA_CUDA_MEMBER)
#undef DJL_LORA_CUDA_MEMBER

 private:
  explicit Driver(std::unique_ptr<const DynamicLibrary> library);
  void Start();
  DeviceInfo Describe(int32_t index) const;

  std::unique_ptr<const DynamicLibrary> library_;
  int32_t version_ = 0;
  std::vector<DeviceInfo> devices_;
  mutable std::mutex mutex_;
  mutable std::vector<CuContext> contexts_;  // by device; null until it is asked for
};

[[noreturn]] void FailDriver(const Driver& driver, const char* function, CuResult result);

template <typename... Arguments>
void DriverFunction<Arguments...>::operator()(Arguments... arguments) const {
  const CuResult result = function_(arguments...);
  if (result != kCuSuccess) {
    FailDriver(*driver_, name_, result);
  }
}

// "13.0" for 13000.
std::string CudaVersionText(int32_t version);

// The driver of this process, looked for once.
struct ProcessDriver {
  std::unique_ptr<const Driver> driver;
  std::string reason;  // why there is none
};
const ProcessDriver& FindProcessDriver();
// Throws EngineError where there is none.
const Driver& RequireDriver();

// Makes a device's primary context the calling thread's current one, until the end of the scope.
class ScopedContext {
 public:
  ScopedContext(const Driver& driver, int32_t device);
  ScopedContext(const ScopedContext&) = delete;
  ScopedContext& operator=(const ScopedContext&) = delete;
  ~ScopedContext();

 private:
  const Driver& driver_;
  CuContext before_ = nullptr;
  bool changed_ = false;
};

}  // namespace djl_lora

#endif  // DJL_LORA_CUDA_DRIVER_H_
