// SPDX-License-Identifier: Apache-2.0
#include "cuda/torch_stream.h"

#include <atomic>

#include "common/errors.h"
#include "compat/dynamic.h"

namespace djl_lora {

namespace {

constexpr const char* kLibrary = "libtorch_cuda.so";

}  // namespace

TorchStreamFunction FindTorchStreamFunction(const char* library) {
  // Opening counts a use of the library, and closing takes that back: libtorch stays loaded anyway.
  const DynamicLibrary torch(library, DynamicLibrary::Mode::kOnlyIfLoaded);
  if (!torch.opened()) {
    throw EngineError(Format("this process's libtorch has no CUDA (%s is not loaded)", library));
  }
  void* found = torch.Find("aoti_torch_get_current_cuda_stream");
  if (found == nullptr) {
    throw EngineError(
        Format("%s has no function aoti_torch_get_current_cuda_stream; libtorch 2.7 or later is needed", library));
  }
  return reinterpret_cast<TorchStreamFunction>(found);
}

bool TorchHasCuda() { return DynamicLibrary(kLibrary, DynamicLibrary::Mode::kOnlyIfLoaded).opened(); }

CuStream CurrentTorchStream(int32_t device_index) {
  static std::atomic<TorchStreamFunction> found{nullptr};  // only what was found: libtorch may be loaded later
  TorchStreamFunction function = found.load(std::memory_order_acquire);
  if (function == nullptr) {
    function = FindTorchStreamFunction(kLibrary);
    found.store(function, std::memory_order_release);
  }
  void* stream = nullptr;
  const int32_t code = function(device_index, &stream);
  if (code != 0) {
    throw EngineError(Format("libtorch does not tell its current stream on CUDA device %d: code %d",
                             static_cast<int>(device_index), static_cast<int>(code)));
  }
  return static_cast<CuStream>(stream);
}

}  // namespace djl_lora
