// SPDX-License-Identifier: Apache-2.0
#include "ops/table.h"

#include <atomic>
#include <cmath>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "common/errors.h"
#include "cpu/packed.h"

namespace djl_lora {

namespace {

constexpr int64_t kMaxFeatures = int64_t{1} << 31;

long long Long(int64_t value) { return static_cast<long long>(value); }

struct Registry {
  std::mutex mutex;
  int64_t next = 1;
  std::unordered_map<int64_t, std::shared_ptr<Table>> tables;
};

// Never destroyed: a thread may still be in an operator while the process ends.
Registry& TheRegistry() {
  static Registry* const kRegistry = new Registry;
  return *kRegistry;
}

std::atomic<int64_t> live_adapters{0};

std::vector<ModuleShape> ReadShapes(AtenTensorHandle in_features, AtenTensorHandle out_features, int64_t type) {
  constexpr const char* kName = "table_create";
  const TensorInfo in = Describe(kName, "in_features", in_features);
  const TensorInfo out = Describe(kName, "out_features", out_features);
  for (const TensorInfo* info : {&in, &out}) {
    RequireType(kName, *info, ElementType::kInt64);
    RequireDim(kName, *info, 1);
    RequireContiguous(kName, *info);
  }
  if (in.numel != out.numel) {
    Refuse("%s: in_features is %s and out_features is %s, but they must have the same length", kName, in.Text().c_str(),
           out.Text().c_str());
  }
  if (in.numel < 1 || in.numel > Table::kMaxModules) {
    Refuse("%s: in_features is %s, but a table has 1 to %lld modules", kName, in.Text().c_str(),
           Long(Table::kMaxModules));
  }
  if (type < -1 || type > 8 || !IsKernelType(static_cast<ElementType>(type))) {
    Refuse("%s: dtype is %lld, but it must be 0 (float32), 1 (float16) or 2 (bfloat16)", kName, Long(type));
  }
  std::vector<ModuleShape> shapes(static_cast<size_t>(in.numel));
  for (int64_t i = 0; i < in.numel; ++i) {
    const ModuleShape shape{in.As<int64_t>()[i], out.As<int64_t>()[i]};
    if (shape.in < 1 || shape.in > kMaxFeatures || shape.out < 1 || shape.out > kMaxFeatures) {
      Refuse("%s: module %lld has %lld inputs and %lld outputs, but both must be from 1 to %lld", kName, Long(i),
             Long(shape.in), Long(shape.out), Long(kMaxFeatures));
    }
    shapes[i] = shape;
  }
  return shapes;
}

void CheckSlot(const char* operation, int64_t slot) {
  if (slot < 0 || slot >= Table::kMaxSlots) {
    Refuse("%s: slot is %lld, but it must be from 0 to %lld", operation, Long(slot), Long(Table::kMaxSlots - 1));
  }
}

// The tensors that an adapter is made from.
struct Source {
  TensorInfo weights;                       // A and B
  TensorInfo vectors;                       // out_scale and bias
  const float* component_scales = nullptr;  // with int8
  std::vector<AdapterModule> modules;       // pointing into these tensors, B [out, rank]
};

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

TensorInfo Flat(const char* operation, const char* name, AtenTensorHandle handle, ElementType type) {
  const TensorInfo info = Describe(operation, name, handle);
  RequireType(operation, info, type);
  RequireDim(operation, info, 1);
  RequireContiguous(operation, info);
  return info;
}

// Fills in the modules of a source, whose tensors are checked already.
void ReadLayout(const char* operation, const Table& table, int64_t slot, AtenTensorHandle layout_handle,
                AtenTensorHandle scales_handle, Source* source) {
  CheckSlot(operation, slot);
  const int64_t count = static_cast<int64_t>(table.modules().size());
  const TensorInfo layout = Describe(operation, "layout", layout_handle);
  RequireType(operation, layout, ElementType::kInt64);
  RequireDim(operation, layout, 2);
  RequireContiguous(operation, layout);
  if (layout.sizes[0] != count || layout.sizes[1] != Table::kLayoutColumns) {
    Refuse("%s: layout is %s, but table %lld takes [%lld, %lld]", operation, layout.Text().c_str(), Long(table.id()),
           Long(count), Long(Table::kLayoutColumns));
  }
  const TensorInfo scales = Flat(operation, "scales", scales_handle, ElementType::kFloat32);
  if (scales.numel != count) {
    Refuse("%s: scales is %s, but table %lld takes [%lld]", operation, scales.Text().c_str(), Long(table.id()),
           Long(count));
  }
  source->modules.resize(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    const ModuleShape& shape = table.modules()[i];
    const int64_t* row = layout.As<int64_t>() + i * Table::kLayoutColumns;
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

Source ReadSource(const Table& table, int64_t slot, AtenTensorHandle weights, AtenTensorHandle layout,
                  AtenTensorHandle scales) {
  constexpr const char* kName = "table_put";
  Source source;
  source.weights = Flat(kName, "weights", weights, table.type());
  source.vectors = source.weights;
  ReadLayout(kName, table, slot, layout, scales, &source);
  return source;
}

Source ReadInt8Source(const Table& table, int64_t slot, const Int8Weights& weights, AtenTensorHandle layout,
                      AtenTensorHandle scales) {
  constexpr const char* kName = "table_put_int8";
  Source source;
  source.weights = Flat(kName, "weights", weights.weights, ElementType::kInt8);
  if (weights.vectors != nullptr) {
    source.vectors = Flat(kName, "vectors", weights.vectors, table.type());
  }
  const TensorInfo components = Flat(kName, "component_scales", weights.component_scales, ElementType::kFloat32);
  ReadLayout(kName, table, slot, layout, scales, &source);
  int64_t ranks = 0;
  for (const AdapterModule& module : source.modules) {
    ranks += module.rank;
  }
  if (components.numel != 2 * ranks) {
    Refuse("%s: component_scales is %s, but the layout's ranks take [%lld]", kName, components.Text().c_str(),
           Long(2 * ranks));
  }
  source.component_scales = components.As<float>();
  for (int64_t i = 0; i < components.numel; ++i) {
    if (!std::isfinite(source.component_scales[i])) {
      Refuse("%s: component_scales has %f at index %lld, but each must be finite", kName,
             static_cast<double>(source.component_scales[i]), Long(i));
    }
  }
  return source;
}

// Where a part of `bytes` begins when the memory so far ends at *end; moves *end behind it.
int64_t Place(int64_t bytes, int64_t* end) {
  const int64_t begin = *end;
  *end = (begin + bytes + AlignedBuffer::kAlignment - 1) / AlignedBuffer::kAlignment * AlignedBuffer::kAlignment;
  return begin;
}

// Where a module's parts lie in its adapter's memory; B right behind A, since they are read so.
struct Placement {
  int64_t a;
  int64_t b;
  int64_t component_scale;
  int64_t out_scale;
  int64_t bias;
};

// Copies an adapter into memory of its own, packed for the kernels.
std::shared_ptr<const Adapter> Pack(const Table& table, const Source& source) {
  const ElementType type = source.weights.type;
  const int64_t size = ElementSize(type);
  const int64_t vector_size = ElementSize(table.type());
  const int64_t count = static_cast<int64_t>(source.modules.size());
  std::vector<Placement> placements(source.modules.size());
  int64_t end = 0;
  for (int64_t i = 0; i < count; ++i) {
    const AdapterModule& module = source.modules[i];
    const ModuleShape& shape = table.modules()[i];
    Placement& placement = placements[i];
    placement.a = Place(module.rank * shape.in * size, &end);
    placement.b = Place(PackedBElements(type, shape.out, module.rank) * size, &end);
    placement.component_scale = Place(module.int8 ? module.rank * static_cast<int64_t>(sizeof(float)) : 0, &end);
    placement.out_scale = Place(module.out_scale != nullptr ? shape.out * vector_size : 0, &end);
    placement.bias = Place(module.bias != nullptr ? shape.out * vector_size : 0, &end);
  }
  AlignedBuffer memory(end);
  std::vector<AdapterModule> modules = source.modules;
  const float* components = source.component_scales;
  for (int64_t i = 0; i < count; ++i) {
    AdapterModule& module = modules[i];
    const ModuleShape& shape = table.modules()[i];
    const auto copy = [&memory](const void* from, int64_t to, int64_t bytes) {
      return std::memcpy(memory.data() + to, from, static_cast<size_t>(bytes));
    };
    if (module.rank > 0) {
      module.a = copy(module.a, placements[i].a, module.rank * shape.in * size);
      void* packed = memory.data() + placements[i].b;
      PackB(type, module.b, shape.out, module.rank, packed);
      module.b = packed;
      if (module.int8) {
        float* scale = reinterpret_cast<float*>(memory.data() + placements[i].component_scale);
        for (int64_t r = 0; r < module.rank; ++r) {
          scale[r] = components[r] * components[module.rank + r];
        }
        components += 2 * module.rank;
        module.component_scale = scale;
      }
    }
    if (module.out_scale != nullptr) {
      module.out_scale = copy(module.out_scale, placements[i].out_scale, shape.out * vector_size);
    }
    if (module.bias != nullptr) {
      module.bias = copy(module.bias, placements[i].bias, shape.out * vector_size);
    }
  }
  std::shared_ptr<const Adapter> adapter(new Adapter{std::move(memory), std::move(modules)}, [](const Adapter* dead) {
    delete dead;
    live_adapters.fetch_sub(1, std::memory_order_relaxed);
  });
  live_adapters.fetch_add(1, std::memory_order_relaxed);
  return adapter;
}

}  // namespace

std::shared_ptr<const Snapshot> Table::Read() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return snapshot_;
}

void Table::Put(int64_t slot, std::shared_ptr<const Adapter> adapter) {
  std::shared_ptr<const Snapshot> old;  // freed after the lock, and with it perhaps the weights
  const std::lock_guard<std::mutex> lock(mutex_);
  auto next = std::make_shared<Snapshot>(*snapshot_);
  if (static_cast<size_t>(slot) >= next->size()) {
    next->resize(static_cast<size_t>(slot) + 1);
  }
  (*next)[static_cast<size_t>(slot)] = std::move(adapter);
  old = std::exchange(snapshot_, std::move(next));
}

void Table::Remove(int64_t slot) {
  std::shared_ptr<const Snapshot> old;
  const std::lock_guard<std::mutex> lock(mutex_);
  if (slot < 0 || static_cast<size_t>(slot) >= snapshot_->size() || (*snapshot_)[slot] == nullptr) {
    Refuse("table_remove: slot %lld of table %lld holds no adapter", Long(slot), Long(id_));
  }
  auto next = std::make_shared<Snapshot>(*snapshot_);
  (*next)[static_cast<size_t>(slot)] = nullptr;
  old = std::exchange(snapshot_, std::move(next));
}

std::shared_ptr<Table> FindTable(const char* operation, int64_t table) {
  Registry& registry = TheRegistry();
  const std::lock_guard<std::mutex> lock(registry.mutex);
  const auto found = registry.tables.find(table);
  if (found == registry.tables.end()) {
    Refuse("%s: there is no table %lld (%s)", operation, Long(table),
           table > 0 && table < registry.next ? "it was closed" : "no such table was created");
  }
  return found->second;
}

void CheckTableCreate(AtenTensorHandle in_features, AtenTensorHandle out_features, int64_t type) {
  ReadShapes(in_features, out_features, type);
}

int64_t TableCreate(AtenTensorHandle in_features, AtenTensorHandle out_features, int64_t type) {
  std::vector<ModuleShape> shapes = ReadShapes(in_features, out_features, type);
  Registry& registry = TheRegistry();
  const std::lock_guard<std::mutex> lock(registry.mutex);
  const int64_t id = registry.next;
  registry.tables.emplace(id, std::make_shared<Table>(id, static_cast<ElementType>(type), std::move(shapes)));
  ++registry.next;
  return id;
}

void CheckTablePut(int64_t table, int64_t slot, AtenTensorHandle weights, AtenTensorHandle layout,
                   AtenTensorHandle scales) {
  ReadSource(*FindTable("table_put", table), slot, weights, layout, scales);
}

void TablePut(int64_t table, int64_t slot, AtenTensorHandle weights, AtenTensorHandle layout, AtenTensorHandle scales) {
  const std::shared_ptr<Table> found = FindTable("table_put", table);
  found->Put(slot, Pack(*found, ReadSource(*found, slot, weights, layout, scales)));
}

void CheckTablePutInt8(int64_t table, int64_t slot, const Int8Weights& weights, AtenTensorHandle layout,
                       AtenTensorHandle scales) {
  ReadInt8Source(*FindTable("table_put_int8", table), slot, weights, layout, scales);
}

void TablePutInt8(int64_t table, int64_t slot, const Int8Weights& weights, AtenTensorHandle layout,
                  AtenTensorHandle scales) {
  const std::shared_ptr<Table> found = FindTable("table_put_int8", table);
  found->Put(slot, Pack(*found, ReadInt8Source(*found, slot, weights, layout, scales)));
}

int64_t TableBytes(int64_t table, int64_t slot) {
  const std::shared_ptr<const Snapshot> snapshot = FindTable("table_bytes", table)->Read();
  if (slot < 0 || static_cast<size_t>(slot) >= snapshot->size() || (*snapshot)[slot] == nullptr) {
    Refuse("table_bytes: slot %lld of table %lld holds no adapter", Long(slot), Long(table));
  }
  return (*snapshot)[slot]->memory.size();
}

void CheckTableRemove(int64_t table, int64_t slot) {
  const std::shared_ptr<const Snapshot> snapshot = FindTable("table_remove", table)->Read();
  if (slot < 0 || static_cast<size_t>(slot) >= snapshot->size() || (*snapshot)[slot] == nullptr) {
    Refuse("table_remove: slot %lld of table %lld holds no adapter", Long(slot), Long(table));
  }
}

void TableRemove(int64_t table, int64_t slot) { FindTable("table_remove", table)->Remove(slot); }

void TableClose(int64_t table) {
  const std::shared_ptr<Table> found = FindTable("table_close", table);  // freed after the lock
  Registry& registry = TheRegistry();
  const std::lock_guard<std::mutex> lock(registry.mutex);
  registry.tables.erase(table);
}

int64_t OpenTables() {
  Registry& registry = TheRegistry();
  const std::lock_guard<std::mutex> lock(registry.mutex);
  return static_cast<int64_t>(registry.tables.size());
}

int64_t LiveAdapters() { return live_adapters.load(std::memory_order_relaxed); }

}  // namespace djl_lora
