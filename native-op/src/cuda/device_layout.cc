// SPDX-License-Identifier: Apache-2.0
#include "cuda/device_layout.h"

#include <cstring>
#include <initializer_list>

namespace djl_lora::cuda {

namespace {

constexpr int64_t Align(int64_t bytes) { return (bytes + kPartAlignment - 1) / kPartAlignment * kPartAlignment; }

constexpr int64_t Pitch(int64_t columns, int64_t unit) { return (columns + unit - 1) / unit * unit; }

// Puts one part after the other.
class Packer {
 public:
  Packer(char* host, uint64_t device) : host_(host), device_(device) {}

  // rows of `columns` elements, each padded to `pitch`; returns where they will lie on the device.
  const void* Put(const uint16_t* part, int64_t rows, int64_t columns, int64_t pitch) {
    if (part == nullptr || rows * columns == 0) {
      return nullptr;
    }
    const int64_t bytes = Align(rows * pitch * int64_t{sizeof(uint16_t)});
    std::memset(host_ + used_, 0, static_cast<size_t>(bytes));
    for (int64_t row = 0; row < rows; ++row) {
      std::memcpy(host_ + used_ + row * pitch * int64_t{sizeof(uint16_t)}, part + row * columns,
                  static_cast<size_t>(columns) * sizeof(uint16_t));
    }
    // NOLINTNEXTLINE(performance-no-int-to-ptr): an address of the device's, which only the device follows
    const void* place = reinterpret_cast<const void*>(device_ + static_cast<uint64_t>(used_));
    used_ += bytes;
    return place;
  }

 private:
  char* host_;
  uint64_t device_;
  int64_t used_ = 0;
};

}  // namespace

int64_t DeviceModuleBytes(const ModuleWeights& weights) {
  constexpr int64_t kElement = sizeof(uint16_t);
  const int64_t vector = Align(weights.out * kElement);
  return Align(weights.rank * Pitch(weights.in, kFeatureUnit) * kElement) +
         Align(weights.rank == 0 ? 0 : weights.out * Pitch(weights.rank, kRankUnit) * kElement) +
         (weights.out_scale != nullptr ? vector : 0) + (weights.bias != nullptr ? vector : 0);
}

DeviceModule PackDeviceModule(const ModuleWeights& weights, char* host, uint64_t device) {
  Packer packer(host, device);
  DeviceModule module{};
  module.rank = static_cast<int>(weights.rank);
  module.scale = weights.scale;
  module.a = packer.Put(weights.a, weights.rank, weights.in, Pitch(weights.in, kFeatureUnit));
  module.b = packer.Put(weights.b, weights.rank == 0 ? 0 : weights.out, weights.rank, Pitch(weights.rank, kRankUnit));
  module.out_scale = packer.Put(weights.out_scale, 1, weights.out, weights.out);
  module.bias = packer.Put(weights.bias, 1, weights.out, weights.out);
  return module;
}

void ShiftDeviceModule(DeviceModule* module, int64_t bytes) {
  for (const void** part : {&module->a, &module->b, &module->out_scale, &module->bias}) {
    if (*part != nullptr) {
      *part = static_cast<const char*>(*part) + bytes;
    }
  }
}

}  // namespace djl_lora::cuda
