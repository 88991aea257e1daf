// SPDX-License-Identifier: Apache-2.0
#include "ops/adapter_source.h"

#include <cmath>

#include "common/errors.h"

namespace djl_lora {

namespace {

constexpr int64_t kMaxFeatures = int64_t{1} << 31;

long long Long(int64_t value) { return static_cast<long long>(value); }

// One part of an adapter (say B of module 3), which must lie within the tensor.
const void* PartOf(const char* operation, const TensorInfo& tensor, int64_t module, const char* part, int64_t offset,
                   int64_t rows, int64_t columns) {
  if (rows > tensor.numel / columns || offset < 0 || offset > tensor.numel - rows * columns) {
    Refuse("%s: %s of module %lld is [%lld, %lld] at offset %lld, which is not within %s", operation, part,
           Long(module), Long(rows), Long(columns), Long(offset),
           tensor.handle == nullptr ? "vectors (there are none)" : (tensor.name + (" " + tensor.Text())).c_str());
  }
  return tensor.As<char>() + offset * ElementSize(tensor.type);
}

// Fills in the modules of a source, whose tensors are checked already.
void ReadLayout(const char* operation, const TableShape& table, int64_t slot, AtenTensorHandle layout_handle,
                AtenTensorHandle scales_handle, Source* source) {
  CheckSlot(operation, slot);
  const int64_t count = static_cast<int64_t>(table.modules().size());
  const TensorInfo layout = LayoutOf(operation, table, layout_handle);
  const TensorInfo scales = DescribeFlat(operation, "scales", scales_handle, ElementType::kFloat32);
  if (scales.numel != count) {
    Refuse("%s: scales is %s, but table %lld takes [%lld]", operation, scales.Text().c_str(), Long(table.id()),
           Long(count));
  }
  source->modules.resize(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    const ModuleShape& shape = table.modules()[i];
    const int64_t* row = layout.As<int64_t>() + i * TableShape::kLayoutColumns;
    AdapterModule& module = source->modules[i];
    module.rank = row[0];
    module.int8 = source->weights.type == ElementType::kInt8;
    module.scale = scales.As<float>()[i];
    if (module.rank < 0) {
      Refuse("%s: the rank of module %lld is %lld, but it must not be negative", operation, Long(i), Long(module.rank));
    }
    if (!std::isfinite(module.scale)) {
      Refuse("%s: the scale of module %lld is %f, but it must be finite", operation, Long(i),
             static_cast<double>(module.scale));
    }
    if (module.rank == 0) {
      if (row[1] != -1 || row[2] != -1) {
        Refuse("%s: module %lld has rank 0 and offsets %lld and %lld for A and B, but both must be -1", operation,
               Long(i), Long(row[1]), Long(row[2]));
      }
    } else {
      module.a = PartOf(operation, source->weights, i, "A", row[1], module.rank, shape.in);
      module.b = PartOf(operation, source->weights, i, "B", row[2], shape.out, module.rank);
    }
    if (row[3] != -1) {
      module.out_scale = PartOf(operation, source->vectors, i, "out_scale", row[3], 1, shape.out);
    }
    if (row[4] != -1) {
      module.bias = PartOf(operation, source->vectors, i, "bias", row[4], 1, shape.out);
    }
  }
}

}  // namespace

std::vector<ModuleShape> ReadShapes(const char* operation, AtenTensorHandle in_features, AtenTensorHandle out_features,
                                    int64_t type) {
  const TensorInfo in = Describe(operation, "in_features", in_features);
  const TensorInfo out = Describe(operation, "out_features", out_features);
  for (const TensorInfo* info : {&in, &out}) {
    RequireType(operation, *info, ElementType::kInt64);
    RequireDim(operation, *info, 1);
    RequireContiguous(operation, *info);
  }
  if (in.numel != out.numel) {
    Refuse("%s: in_features is %s and out_features is %s, but they must have the same length", operation,
           in.Text().c_str(), out.Text().c_str());
  }
  if (in.numel < 1 || in.numel > TableShape::kMaxModules) {
    Refuse("%s: in_features is %s, but a table has 1 to %lld modules", operation, in.Text().c_str(),
           Long(TableShape::kMaxModules));
  }
  if (type < -1 || type > 8 || !IsKernelType(static_cast<ElementType>(type))) {
    Refuse("%s: dtype is %lld, but it must be 0 (float32), 1 (float16) or 2 (bfloat16)", operation, Long(type));
  }
  std::vector<ModuleShape> shapes(static_cast<size_t>(in.numel));
  for (int64_t i = 0; i < in.numel; ++i) {
    const ModuleShape shape{in.As<int64_t>()[i], out.As<int64_t>()[i]};
    if (shape.in < 1 || shape.in > kMaxFeatures || shape.out < 1 || shape.out > kMaxFeatures) {
      Refuse("%s: module %lld has %lld inputs and %lld outputs, but both must be from 1 to %lld", operation, Long(i),
             Long(shape.in), Long(shape.out), Long(kMaxFeatures));
    }
    shapes[i] = shape;
  }
  return shapes;
}

void CheckSlot(const char* operation, int64_t slot) {
  if (slot < 0 || slot >= TableShape::kMaxSlots) {
    Refuse("%s: slot is %lld, but it must be from 0 to %lld", operation, Long(slot), Long(TableShape::kMaxSlots - 1));
  }
}

TensorInfo LayoutOf(const char* operation, const TableShape& table, AtenTensorHandle handle) {
  const int64_t count = static_cast<int64_t>(table.modules().size());
  const TensorInfo layout = Describe(operation, "layout", handle);
  RequireType(operation, layout, ElementType::kInt64);
  RequireDim(operation, layout, 2);
  RequireContiguous(operation, layout);
  if (layout.sizes[0] != count || layout.sizes[1] != TableShape::kLayoutColumns) {
    Refuse("%s: layout is %s, but table %lld takes [%lld, %lld]", operation, layout.Text().c_str(), Long(table.id()),
           Long(count), Long(TableShape::kLayoutColumns));
  }
  return layout;
}

Source ReadSource(const char* operation, const TableShape& table, int64_t slot, AtenTensorHandle weights,
                  AtenTensorHandle layout, AtenTensorHandle scales) {
  Source source;
  source.weights = DescribeFlat(operation, "weights", weights, table.type());
  source.vectors = source.weights;
  ReadLayout(operation, table, slot, layout, scales, &source);
  return source;
}

Source ReadInt8Source(const char* operation, const TableShape& table, int64_t slot, const Int8Weights& weights,
                      AtenTensorHandle layout, AtenTensorHandle scales) {
  Source source;
  source.weights = DescribeFlat(operation, "weights", weights.weights, ElementType::kInt8);
  if (weights.vectors != nullptr) {
    source.vectors = DescribeFlat(operation, "vectors", weights.vectors, table.type());
  }
  const TensorInfo components =
      DescribeFlat(operation, "component_scales", weights.component_scales, ElementType::kFloat32);
  ReadLayout(operation, table, slot, layout, scales, &source);
  int64_t ranks = 0;
  for (const AdapterModule& module : source.modules) {
    ranks += module.rank;
  }
  if (components.numel != 2 * ranks) {
    Refuse("%s: component_scales is %s, but the layout's ranks take [%lld]", operation, components.Text().c_str(),
           Long(2 * ranks));
  }
  for (int64_t i = 0; i < components.numel; ++i) {
    const float scale = components.As<float>()[i];
    if (!std::isfinite(scale)) {
      Refuse("%s: component_scales has %f at index %lld, but each must be finite", operation,
             static_cast<double>(scale), Long(i));
    }
  }
  source.component_scales = components;
  return source;
}

}  // namespace djl_lora
