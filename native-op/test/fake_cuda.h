// SPDX-License-Identifier: Apache-2.0
//
// A driver for machines without a GPU: it records what it is asked, fails where a test says so, has its "device memory"
// on the host, and really runs the one kernel djl_lora_self_test.
#ifndef DJL_LORA_TEST_FAKE_CUDA_H_
#define DJL_LORA_TEST_FAKE_CUDA_H_

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "cuda/driver_c.h"

namespace djl_lora {

struct FakeDevice {
  std::string name;
  int32_t major;
  int32_t minor;
  int32_t shared_bytes;
};

struct FakeLaunch {
  std::string kernel;
  std::array<uint32_t, 3> grid;
  std::array<uint32_t, 3> block;
  uint32_t shared_bytes;
  CuStream stream;
  bool extended;  // by cuLaunchKernelEx
  std::vector<CuLaunchAttribute> attributes;
};

struct FakeCuda {
  std::mutex mutex;
  int32_t version = 13000;
  std::vector<FakeDevice> devices{{"Fake 9000", 9, 0, 227 * 1024}};
  std::map<std::string, CuResult> results;  // of functions that fail
  // What loading an image returns; may write to the log.
  std::function<CuResult(const void* image, char* log)> load;
  std::function<CuResult(const std::string& kernel)> find;
  int32_t static_shared_bytes = 0;
  int32_t ptx_version = 90;      // that kernels were compiled for
  bool capturing = false;        // whether streams are
  uint32_t self_test_error = 0;  // added to what the kernel writes

  std::vector<const void*> images;  // that were loaded
  std::vector<FakeLaunch> launches;
  std::vector<std::pair<int32_t, int32_t>> function_attributes;  // that were set
  int64_t allocations = 0;                                       // alive
  int64_t modules = 0;                                           // alive
  int64_t events = 0;                                            // alive
  int64_t contexts = 0;                                          // retained
};

// The library's function fake_cuda, which forgets everything and begins anew. To be called before any other.
using FakeCudaFunction = FakeCuda* (*)();

}  // namespace djl_lora

#endif  // DJL_LORA_TEST_FAKE_CUDA_H_
