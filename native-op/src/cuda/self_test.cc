// SPDX-License-Identifier: Apache-2.0
#include "cuda/self_test.h"

#include <vector>

#include "common/errors.h"
#include "cuda/launch.h"

namespace djl_lora {

namespace {

class DeviceMemory {
 public:
  DeviceMemory(const Driver& driver, size_t bytes) : driver_(driver) { driver.cuMemAlloc(&address_, bytes); }
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;
  ~DeviceMemory() { driver_.cuMemFree.Try(address_); }

  CuDevicePtr address() const { return address_; }

 private:
  const Driver& driver_;
  CuDevicePtr address_ = 0;
};

}  // namespace

std::string RunSelfTest(const Driver& driver, KernelCache* kernels, int32_t device) {
  constexpr uint32_t kCount = 1000;  // no multiple of a block
  constexpr uint32_t kSeed = 7;
  const ScopedContext context(driver, device);
  const Kernel& kernel = kernels->Find("self_test", "djl_lora_self_test");
  std::vector<uint32_t> values(kCount);
  const size_t bytes = values.size() * sizeof(uint32_t);
  const DeviceMemory memory(driver, bytes);
  LaunchShape shape;
  shape.grid = {3, 1, 1};
  shape.block = {256, 1, 1};
  driver.cuMemsetD8Async(memory.address(), 0xff, bytes, nullptr);
  Launch(driver, kernel, shape, nullptr, memory.address(), kCount, kSeed);
  driver.cuMemcpyDtoHAsync(values.data(), memory.address(), bytes, nullptr);
  driver.cuStreamSynchronize(nullptr);
  for (uint32_t i = 0; i < kCount; ++i) {
    if (values[i] != kSeed * 31 + i) {
      throw EngineError(Format("the self test wrote %u at index %u on %s, but %u was to be there", values[i], i,
                               kernel.device().name.c_str(), kSeed * 31 + i));
    }
  }
  return kernels->LoadedTarget("self_test");
}

}  // namespace djl_lora
