// SPDX-License-Identifier: Apache-2.0
//
// What an adapter table is for, and the tensors from which an adapter is put into one, read and checked. Every function
// refuses (ArgumentError) what it does not allow, with `operation` before the reason.
#ifndef DJL_LORA_OPS_ADAPTER_SOURCE_H_
#define DJL_LORA_OPS_ADAPTER_SOURCE_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "cpu/sgmv_cpu.h"
#include "torch/tensor.h"

namespace djl_lora {

struct ModuleShape {
  int64_t in;
  int64_t out;
};

// The modules of a model, by number, and the type that it computes with.
class TableShape {
 public:
  static constexpr int64_t kMaxModules = 1 << 20;
  static constexpr int64_t kMaxSlots = 1 << 16;
  static constexpr int64_t kLayoutColumns = 5;  // rank, and the offsets of A, B, out_scale and bias

  TableShape(int64_t id, ElementType type, std::vector<ModuleShape> modules)
      : id_(id), type_(type), modules_(std::move(modules)) {}

  int64_t id() const { return id_; }
  ElementType type() const { return type_; }
  const std::vector<ModuleShape>& modules() const { return modules_; }

 private:
  const int64_t id_;
  const ElementType type_;
  const std::vector<ModuleShape> modules_;
};

// in_features and out_features: int64 [modules], positive. type: of the kernels' types.
std::vector<ModuleShape> ReadShapes(const char* operation, AtenTensorHandle in_features, AtenTensorHandle out_features,
                                    int64_t type);

void CheckSlot(const char* operation, int64_t slot);

// int64 [modules, 5]: see LoraNative.tablePut.
TensorInfo LayoutOf(const char* operation, const TableShape& table, AtenTensorHandle handle);

// The tensors that an adapter is made from.
struct Source {
  TensorInfo weights;                  // A and B
  TensorInfo vectors;                  // out_scale and bias
  TensorInfo component_scales;         // with int8
  std::vector<AdapterModule> modules;  // pointing into these tensors, B [out, rank]
};

// weights: 1-D, contiguous, of the table's type. layout: int64 [modules, 5]. scales: float32 [modules].
Source ReadSource(const char* operation, const TableShape& table, int64_t slot, AtenTensorHandle weights,
                  AtenTensorHandle layout, AtenTensorHandle scales);

// An adapter in 8 bits. weights: int8 [elements], A and B. component_scales: float32 [2 · sum of ranks], for each
// module in turn those of A's rows and then those of B's columns. vectors: 1-D, contiguous, of the table's type, where
// out_scale and bias lie; or null when there are none. layout: as above, rank and the offsets of A and B in weights, of
// out_scale and bias in vectors.
struct Int8Weights {
  AtenTensorHandle weights;
  AtenTensorHandle component_scales;
  AtenTensorHandle vectors;
};
Source ReadInt8Source(const char* operation, const TableShape& table, int64_t slot, const Int8Weights& weights,
                      AtenTensorHandle layout, AtenTensorHandle scales);

}  // namespace djl_lora

#endif  // DJL_LORA_OPS_ADAPTER_SOURCE_H_
