// SPDX-License-Identifier: Apache-2.0
//
// Adapter tables on a GPU. The entries that say where adapters lie are device memory, which the kernels read: a step's
// plan names slots, and nothing about adapters crosses from the host in a call. Everything that changes a table happens
// in the order of libtorch's current stream, as its calls do, so a table belongs to one stream at a time.
#ifndef DJL_LORA_OPS_DEVICE_TABLE_H_
#define DJL_LORA_OPS_DEVICE_TABLE_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "cuda/kernels/abi.h"
#include "cuda/sgmv_device.h"
#include "ops/adapter_source.h"
#include "ops/sgmv_targets.h"
#include "torch/tensor.h"

namespace djl_lora {

// What a table can hold and a call can ask for at most; all memory is taken when the table is made.
struct DeviceTableLimits {
  int64_t slots = 0;
  int64_t tokens = 0;       // rows of a call
  int64_t rank = 0;         // of an adapter's module
  int64_t stack_ranks = 0;  // of all of a stack's adapters in one module together
};

class DeviceTable : public TableShape {
 public:
  // Throws EngineError where the device has no memory left. Where none of the kernels that the library carries suits
  // the device the table waits for an image.
  DeviceTable(int64_t id, ElementType type, std::vector<ModuleShape> modules, const DeviceTableLimits& limits,
              std::shared_ptr<const SgmvDevice> device);

  const SgmvDevice& device() const { return *device_; }

  // The functions below throw ArgumentError for what they refuse, and change nothing then.

  // Puts an adapter into a slot, whose old one is forgotten. weights, layout and scales: on the CPU, as ReadSource has
  // them. arena: uint8, 1-D, contiguous, on the device, kept alive until the slot changes; the adapter's bytes
  // (PackedBytes) are written to it from `offset` on, a multiple of cuda::kPartAlignment in the device's memory. These
  // bytes must belong to none of the table's adapters, that of the slot included, and no call may still read them.
  void Put(int64_t slot, AtenTensorHandle weights, AtenTensorHandle layout, AtenTensorHandle scales,
           AtenTensorHandle arena, int64_t offset);
  // The same for a caller who copies by itself, as on a stream of copies: writes to `packed`, uint8, 1-D, contiguous on
  // the CPU, the adapter's bytes, which belong to `offset` of the arena, and behind them RowBytes() for
  // EntriesAddress() of the slot. What lies there before the copies is an empty slot, whose rows become NaN.
  void Pack(int64_t slot, AtenTensorHandle weights, AtenTensorHandle layout, AtenTensorHandle scales,
            AtenTensorHandle arena, int64_t offset, AtenTensorHandle packed);
  void Remove(int64_t slot);
  // Moves a slot's adapter, which no call may be reading, to another offset of its arena; old and new bytes may
  // overlap.
  void Move(int64_t slot, int64_t offset);
  int64_t PackedBytes(AtenTensorHandle layout) const;
  int64_t RowBytes() const;
  // Where the entries of a slot lie on the device. Changes with Grow.
  int64_t EntriesAddress(int64_t slot) const;
  // Raises limits; those that are lower than they are stay. Must not overlap with copies of the caller's own.
  void Grow(const DeviceTableLimits& least);

  // Computes the operators. x, ys, biases and the plan lie on the device. What a plan has wrong is found there: the
  // rows that it concerns become NaN, and the next Check tells.
  void Sgmv(const SgmvArguments& arguments);

  // Kernels for calls over modules of `in` inputs, from an image that was compiled elsewhere; those before for as many
  // inputs are not used any more. Where the library carries no kernels that suit the device, calls over other modules
  // use them too: every image's kernels take every shape. image: uint8, 1-D, contiguous, on the CPU, machine code or
  // PTX with a zero behind it. Throws EngineError, and changes nothing, where it does not load or lacks a kernel.
  void UseImage(AtenTensorHandle image, int64_t in);
  // Goes back to the kernels that the library carries, if there was an image for as many inputs. The image stays loaded
  // as long as the table is open: a captured graph may have its kernels.
  void DropImage(int64_t in);
  // Why the kernels that the library carries do not serve here; empty where they do.
  const std::string& WhyNotEmbedded() const { return not_embedded_; }
  // The medians of the device's times in microseconds for a call over these modules with a row of an adapter of that
  // rank for each segment: with the library's kernels and with those of the image. Waits.
  std::pair<double, double> TimeImage(const std::vector<int64_t>& modules, int64_t segments, int64_t rank) const;

  // Waits for the device, and throws ArgumentError with what the kernels have refused since the last time.
  void Check();

 private:
  struct Place {
    Tensor arena;
    uintptr_t begin = 0;
    uintptr_t end = 0;
    std::vector<cuda::DeviceModule> entries;
  };
  // An adapter that fits, and where it is to lie.
  struct Arrival {
    Source source;
    TensorInfo arena;
    int64_t bytes = 0;
    uintptr_t begin = 0;
  };
  // What calls work with. Replaced as a whole, so that a call keeps what it began with.
  struct Buffers {
    DeviceTableLimits limits;
    Tensor entries;  // uint8, cuda::DeviceModule [slots, modules]
    Tensor partial;  // float32, see cuda::SgmvParams
  };

  std::shared_ptr<const Buffers> buffers() const;
  std::shared_ptr<const Buffers> NewBuffers(const DeviceTableLimits& limits, const Buffers* before) const;
  Arrival CheckArrival(const char* operation, int64_t slot, AtenTensorHandle weights, AtenTensorHandle layout,
                       AtenTensorHandle scales, AtenTensorHandle arena, int64_t offset) const;
  // Writes the adapter's bytes, and returns its place.
  Place PackArrival(const Arrival& arrival, char* packed) const;
  // With the lock: refuses bytes that belong to a slot other than `own`, -1 for any.
  void RequireFree(const char* operation, uintptr_t begin, uintptr_t end, int64_t own) const;
  void CheckSlotOf(const char* operation, const Buffers& buffers, int64_t slot) const;
  // Copies to the device, in the order of the stream.
  void Upload(const Tensor& target, int64_t offset, const void* bytes, int64_t count) const;

  struct GivenKernels {
    int64_t in = 0;  // or 0: not used any more
    std::shared_ptr<const SgmvKernels> kernels;
  };

  // The given kernels for that many inputs, or null.
  const SgmvKernels* Given(int64_t in) const;
  // Valid as long as the table.
  const SgmvKernels& KernelsFor(const char* operation, int64_t in) const;
  // With the lock: uses none of the given kernels for that many inputs any more.
  void Retire(int64_t in);
  // Refuses a number of inputs that no module has.
  void RequireInputs(const char* operation, int64_t in) const;

  const std::shared_ptr<const SgmvDevice> device_;
  std::shared_ptr<const SgmvKernels> embedded_;  // or null
  std::string not_embedded_;                     // why
  Tensor error_;                                 // uint8, a cuda::DeviceError
  Tensor empty_row_;                             // uint8, the entries of a slot without an adapter
  std::mutex launches_;                          // held while a call is launched
  mutable std::mutex mutex_;                     // of what follows
  std::shared_ptr<const Buffers> buffers_;       // never null
  std::vector<GivenKernels> given_;
  std::vector<Place> places_;  // by slot
};

// The open table with this id. Throws ArgumentError where there is none.
std::shared_ptr<DeviceTable> FindDeviceTable(const char* operation, int64_t table);

// Makes a table for float16 or bfloat16. in_features and out_features: as ReadShapes has them. Returns an id that is
// never used again, nor by a table on the CPU.
int64_t DeviceTableCreate(AtenTensorHandle in_features, AtenTensorHandle out_features, int64_t type,
                          const DeviceTableLimits& limits, std::shared_ptr<const SgmvDevice> device);
void DeviceTableClose(int64_t table);
int64_t OpenDeviceTables();

}  // namespace djl_lora

#endif  // DJL_LORA_OPS_DEVICE_TABLE_H_
