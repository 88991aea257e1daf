// SPDX-License-Identifier: Apache-2.0
#include "ops/table.h"

#include <atomic>
#include <cmath>
#include <unordered_map>
#include <utility>

#include "common/errors.h"

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

// One part of an adapter (say B of module 3), which must lie within the weights.
const void* Part(const TensorInfo& weights, int64_t module, const char* part, int64_t offset, int64_t rows,
                 int64_t columns) {
  if (rows > weights.numel / columns || offset < 0 || offset > weights.numel - rows * columns) {
    Refuse("table_put: %s of module %lld is [%lld, %lld] at offset %lld, which is not within weights %s", part,
           Long(module), Long(rows), Long(columns), Long(offset), weights.Text().c_str());
  }
  return weights.As<char>() + offset * ElementSize(weights.type);
}

void CheckSlot(const char* operation, int64_t slot) {
  if (slot < 0 || slot >= Table::kMaxSlots) {
    Refuse("%s: slot is %lld, but it must be from 0 to %lld", operation, Long(slot), Long(Table::kMaxSlots - 1));
  }
}

std::vector<AdapterModule> ReadLayout(const Table& table, int64_t slot, AtenTensorHandle weights_handle,
                                      AtenTensorHandle layout_handle, AtenTensorHandle scales_handle) {
  constexpr const char* kName = "table_put";
  CheckSlot(kName, slot);
  const TensorInfo weights = Describe(kName, "weights", weights_handle);
  RequireType(kName, weights, table.type());
  RequireDim(kName, weights, 1);
  RequireContiguous(kName, weights);
  const int64_t count = static_cast<int64_t>(table.modules().size());
  const TensorInfo layout = Describe(kName, "layout", layout_handle);
  RequireType(kName, layout, ElementType::kInt64);
  RequireDim(kName, layout, 2);
  RequireContiguous(kName, layout);
  if (layout.sizes[0] != count || layout.sizes[1] != Table::kLayoutColumns) {
    Refuse("%s: layout is %s, but table %lld takes [%lld, %lld]", kName, layout.Text().c_str(), Long(table.id()),
           Long(count), Long(Table::kLayoutColumns));
  }
  const TensorInfo scales = Describe(kName, "scales", scales_handle);
  RequireType(kName, scales, ElementType::kFloat32);
  RequireDim(kName, scales, 1);
  RequireContiguous(kName, scales);
  if (scales.numel != count) {
    Refuse("%s: scales is %s, but table %lld takes [%lld]", kName, scales.Text().c_str(), Long(table.id()),
           Long(count));
  }
  std::vector<AdapterModule> modules(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    const ModuleShape& shape = table.modules()[i];
    const int64_t* row = layout.As<int64_t>() + i * Table::kLayoutColumns;
    AdapterModule& module = modules[i];
    module.rank = row[0];
    module.scale = scales.As<float>()[i];
    if (module.rank < 0) {
      Refuse("%s: the rank of module %lld is %lld, but it must not be negative", kName, Long(i), Long(module.rank));
    }
    if (!std::isfinite(module.scale)) {
      Refuse("%s: the scale of module %lld is %f, but it must be finite", kName, Long(i),
             static_cast<double>(module.scale));
    }
    if (module.rank == 0) {
      if (row[1] != -1 || row[2] != -1) {
        Refuse("%s: module %lld has rank 0 and offsets %lld and %lld for A and B, but both must be -1", kName, Long(i),
               Long(row[1]), Long(row[2]));
      }
    } else {
      module.a = Part(weights, i, "A", row[1], module.rank, shape.in);
      module.b = Part(weights, i, "B", row[2], shape.out, module.rank);
    }
    if (row[3] != -1) {
      module.out_scale = Part(weights, i, "out_scale", row[3], 1, shape.out);
    }
    if (row[4] != -1) {
      module.bias = Part(weights, i, "bias", row[4], 1, shape.out);
    }
  }
  return modules;
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
  ReadLayout(*FindTable("table_put", table), slot, weights, layout, scales);
}

void TablePut(int64_t table, int64_t slot, AtenTensorHandle weights, AtenTensorHandle layout, AtenTensorHandle scales) {
  const std::shared_ptr<Table> found = FindTable("table_put", table);
  std::vector<AdapterModule> modules = ReadLayout(*found, slot, weights, layout, scales);
  std::shared_ptr<Adapter> adapter(new Adapter{Tensor(), std::move(modules)}, [](Adapter* dead) {
    delete dead;
    live_adapters.fetch_sub(1, std::memory_order_relaxed);
  });
  live_adapters.fetch_add(1, std::memory_order_relaxed);
  adapter->weights = Share(weights);
  found->Put(slot, std::move(adapter));
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
