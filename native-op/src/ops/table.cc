// SPDX-License-Identifier: Apache-2.0
#include "ops/table.h"

#include <atomic>
#include <cstring>
#include <new>
#include <unordered_map>
#include <utility>

#include "common/errors.h"
#include "cpu/packed.h"

namespace djl_lora {

namespace {

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

// The places of an adapter's parts, and how many bytes they take together.
struct PackedLayout {
  std::vector<Placement> placements;
  int64_t bytes = 0;

  void Add(const Table& table, ElementType type, int64_t rank, bool out_scale, bool bias) {
    const ModuleShape& shape = table.modules()[placements.size()];
    const int64_t size = ElementSize(type);
    const int64_t vector_bytes = shape.out * ElementSize(table.type());
    const int64_t component_bytes = type == ElementType::kInt8 ? rank * static_cast<int64_t>(sizeof(float)) : 0;
    Placement placement{};
    placement.a = Place(rank * shape.in * size, &bytes);
    placement.b = Place(PackedBElements(type, shape.out, rank) * size, &bytes);
    placement.component_scale = Place(component_bytes, &bytes);
    placement.out_scale = Place(out_scale ? vector_bytes : 0, &bytes);
    placement.bias = Place(bias ? vector_bytes : 0, &bytes);
    placements.push_back(placement);
  }
};

PackedLayout LayOut(const Table& table, const Source& source) {
  PackedLayout layout;
  layout.placements.reserve(source.modules.size());
  for (const AdapterModule& module : source.modules) {
    layout.Add(table, source.weights.type, module.rank, module.out_scale != nullptr, module.bias != nullptr);
  }
  return layout;
}

void CheckOffset(const char* operation, const TensorInfo& arena, int64_t offset, int64_t bytes) {
  if (offset < 0 || offset % AlignedBuffer::kAlignment != 0) {
    Refuse("%s: offset is %lld, but it must be a multiple of %lld and not negative", operation, Long(offset),
           Long(AlignedBuffer::kAlignment));
  }
  if (offset > arena.numel - bytes) {
    Refuse("%s: the adapter's %lld bytes at offset %lld do not lie within arena %s", operation, Long(bytes),
           Long(offset), arena.Text().c_str());
  }
}

// Refuses bytes that one of the table's adapters lies in, except that of the slot `ignored`.
void RequireUnused(const char* operation, const Table& table, const char* data, int64_t bytes, int64_t ignored) {
  const uintptr_t begin = reinterpret_cast<uintptr_t>(data);
  const std::shared_ptr<const Snapshot> snapshot = table.Read();
  for (size_t slot = 0; slot < snapshot->size(); ++slot) {
    const Adapter* adapter = (*snapshot)[slot].get();
    if (adapter == nullptr || static_cast<int64_t>(slot) == ignored) {
      continue;
    }
    const uintptr_t other = reinterpret_cast<uintptr_t>(adapter->data);
    if (begin < other + static_cast<uintptr_t>(adapter->bytes) && other < begin + static_cast<uintptr_t>(bytes)) {
      Refuse("%s: the %lld bytes overlap with those of the adapter in slot %zu of table %lld", operation, Long(bytes),
             slot, Long(table.id()));
    }
  }
}

// The arena of a place, in which an adapter of that many bytes may be written; a description of nothing without one.
TensorInfo CheckPlace(const char* operation, const Table& table, const ArenaPlace& place, const Source& source,
                      int64_t bytes) {
  if (place.arena == nullptr) {
    if (place.offset != 0) {
      Refuse("%s: offset is %lld, but there is no arena", operation, Long(place.offset));
    }
    return {};
  }
  const TensorInfo arena = Describe(operation, "arena", place.arena);
  if (arena.type != ElementType::kUInt8 && arena.type != ElementType::kInt8) {
    Refuse("%s: arena is %s, but its type must be uint8 or int8", operation, arena.Text().c_str());
  }
  RequireDim(operation, arena, 1);
  RequireContiguous(operation, arena);
  if (reinterpret_cast<uintptr_t>(arena.data) % AlignedBuffer::kAlignment != 0) {
    Refuse("%s: arena %s begins %lld bytes behind a multiple of %lld, but its memory must begin at one", operation,
           arena.Text().c_str(),
           Long(static_cast<int64_t>(reinterpret_cast<uintptr_t>(arena.data) % AlignedBuffer::kAlignment)),
           Long(AlignedBuffer::kAlignment));
  }
  CheckOffset(operation, arena, place.offset, bytes);
  TensorInfo part = arena;
  part.data = arena.As<char>() + place.offset;
  part.numel = bytes;
  part.sizes = &part.numel;
  for (const TensorInfo* read : {&source.weights, &source.vectors, &source.component_scales}) {
    if (read->handle != nullptr) {
      RequireSeparate(operation, part, *read);
    }
  }
  RequireUnused(operation, table, part.As<char>(), bytes, -1);
  return arena;
}

std::shared_ptr<const Adapter> Counted(Adapter adapter) {
  std::shared_ptr<const Adapter> counted(new Adapter(std::move(adapter)), [](const Adapter* dead) {
    delete dead;
    live_adapters.fetch_sub(1, std::memory_order_relaxed);
  });
  live_adapters.fetch_add(1, std::memory_order_relaxed);
  return counted;
}

// Copies an adapter into memory of its own or into an arena, packed for the kernels.
std::shared_ptr<const Adapter> Pack(const char* operation, const Table& table, const Source& source,
                                    const ArenaPlace& place) {
  const ElementType type = source.weights.type;
  const int64_t size = ElementSize(type);
  const int64_t vector_size = ElementSize(table.type());
  const int64_t count = static_cast<int64_t>(source.modules.size());
  const PackedLayout layout = LayOut(table, source);
  const TensorInfo arena = CheckPlace(operation, table, place, source, layout.bytes);
  Adapter adapter;
  adapter.bytes = layout.bytes;
  if (arena.handle == nullptr) {
    adapter.memory = AlignedBuffer(layout.bytes);
    adapter.data = adapter.memory.data();
  } else {
    adapter.arena = View(arena, {arena.numel}, {1}, 0);
    adapter.data = arena.As<char>() + place.offset;
  }
  adapter.modules = source.modules;
  char* const data = adapter.data;
  const auto* components = source.component_scales.As<const float>();
  for (int64_t i = 0; i < count; ++i) {
    AdapterModule& module = adapter.modules[i];
    const ModuleShape& shape = table.modules()[i];
    const Placement& placement = layout.placements[i];
    const auto copy = [data](const void* from, int64_t to, int64_t bytes) {
      return std::memcpy(data + to, from, static_cast<size_t>(bytes));
    };
    if (module.rank > 0) {
      module.a = copy(module.a, placement.a, module.rank * shape.in * size);
      void* packed = data + placement.b;
      PackB(type, module.b, shape.out, module.rank, packed);
      module.b = packed;
      if (module.int8) {
        float* scale = reinterpret_cast<float*>(data + placement.component_scale);
        for (int64_t r = 0; r < module.rank; ++r) {
          scale[r] = components[r] * components[module.rank + r];
        }
        components += 2 * module.rank;
        module.component_scale = scale;
      }
    }
    if (module.out_scale != nullptr) {
      module.out_scale = copy(module.out_scale, placement.out_scale, shape.out * vector_size);
    }
    if (module.bias != nullptr) {
      module.bias = copy(module.bias, placement.bias, shape.out * vector_size);
    }
  }
  return Counted(std::move(adapter));
}

std::shared_ptr<const Adapter> AdapterIn(const char* operation, const Table& table, int64_t slot) {
  const std::shared_ptr<const Snapshot> snapshot = table.Read();
  if (slot < 0 || static_cast<size_t>(slot) >= snapshot->size() || (*snapshot)[slot] == nullptr) {
    Refuse("%s: slot %lld of table %lld holds no adapter", operation, Long(slot), Long(table.id()));
  }
  return (*snapshot)[slot];
}

// An adapter that may be moved, and where its first byte would lie.
struct Move {
  std::shared_ptr<const Adapter> adapter;
  char* target;
};

Move ReadMove(const Table& table, int64_t slot, int64_t offset) {
  constexpr const char* kName = "table_move";
  std::shared_ptr<const Adapter> adapter = AdapterIn(kName, table, slot);
  if (adapter->arena.get() == nullptr) {
    Refuse("%s: the adapter in slot %lld of table %lld lies in memory of its own, not in an arena", kName, Long(slot),
           Long(table.id()));
  }
  const TensorInfo arena = Describe(kName, "arena", adapter->arena.get());
  CheckOffset(kName, arena, offset, adapter->bytes);
  char* target = arena.As<char>() + offset;
  RequireUnused(kName, table, target, adapter->bytes, slot);
  return {std::move(adapter), target};
}

template <typename T>
void Rebase(const char* from, char* to, const T** part) {
  if (*part != nullptr) {
    *part = reinterpret_cast<const T*>(to + (reinterpret_cast<const char*>(*part) - from));
  }
}

// The same adapter at another place, to which its bytes are yet to be moved.
std::shared_ptr<const Adapter> Rebased(const Adapter& adapter, char* target) {
  Adapter moved;
  moved.arena = Share(adapter.arena.get());
  moved.data = target;
  moved.bytes = adapter.bytes;
  moved.modules = adapter.modules;
  for (AdapterModule& module : moved.modules) {
    Rebase(adapter.data, target, &module.a);
    Rebase(adapter.data, target, &module.b);
    Rebase(adapter.data, target, &module.component_scale);
    Rebase(adapter.data, target, &module.out_scale);
    Rebase(adapter.data, target, &module.bias);
  }
  return Counted(std::move(moved));
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
    Refuse("table_remove: slot %lld of table %lld holds no adapter", Long(slot), Long(id()));
  }
  auto next = std::make_shared<Snapshot>(*snapshot_);
  (*next)[static_cast<size_t>(slot)] = nullptr;
  old = std::exchange(snapshot_, std::move(next));
}

bool Table::Replace(int64_t slot, const Adapter* old, std::shared_ptr<const Adapter> adapter) {
  std::shared_ptr<const Snapshot> before;
  const std::lock_guard<std::mutex> lock(mutex_);
  if ((*snapshot_)[static_cast<size_t>(slot)].get() != old) {
    return false;
  }
  auto next = std::make_shared<Snapshot>(*snapshot_);
  (*next)[static_cast<size_t>(slot)] = std::move(adapter);
  before = std::exchange(snapshot_, std::move(next));
  return true;
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
  ReadShapes("table_create", in_features, out_features, type);
}

int64_t TableCreate(AtenTensorHandle in_features, AtenTensorHandle out_features, int64_t type) {
  std::vector<ModuleShape> shapes = ReadShapes("table_create", in_features, out_features, type);
  Registry& registry = TheRegistry();
  const std::lock_guard<std::mutex> lock(registry.mutex);
  const int64_t id = registry.next;
  registry.tables.emplace(id, std::make_shared<Table>(id, static_cast<ElementType>(type), std::move(shapes)));
  ++registry.next;
  return id;
}

void CheckTablePut(int64_t table, int64_t slot, AtenTensorHandle weights, AtenTensorHandle layout,
                   AtenTensorHandle scales, const ArenaPlace& place) {
  const std::shared_ptr<Table> found = FindTable("table_put", table);
  const Source source = ReadSource("table_put", *found, slot, weights, layout, scales);
  CheckPlace("table_put", *found, place, source, LayOut(*found, source).bytes);
}

void TablePut(int64_t table, int64_t slot, AtenTensorHandle weights, AtenTensorHandle layout, AtenTensorHandle scales,
              const ArenaPlace& place) {
  const std::shared_ptr<Table> found = FindTable("table_put", table);
  found->Put(slot, Pack("table_put", *found, ReadSource("table_put", *found, slot, weights, layout, scales), place));
}

void CheckTablePutInt8(int64_t table, int64_t slot, const Int8Weights& weights, AtenTensorHandle layout,
                       AtenTensorHandle scales, const ArenaPlace& place) {
  const std::shared_ptr<Table> found = FindTable("table_put_int8", table);
  const Source source = ReadInt8Source("table_put_int8", *found, slot, weights, layout, scales);
  CheckPlace("table_put_int8", *found, place, source, LayOut(*found, source).bytes);
}

void TablePutInt8(int64_t table, int64_t slot, const Int8Weights& weights, AtenTensorHandle layout,
                  AtenTensorHandle scales, const ArenaPlace& place) {
  const std::shared_ptr<Table> found = FindTable("table_put_int8", table);
  found->Put(slot, Pack("table_put_int8", *found,
                        ReadInt8Source("table_put_int8", *found, slot, weights, layout, scales), place));
}

int64_t TableBytes(int64_t table, int64_t slot) {
  return AdapterIn("table_bytes", *FindTable("table_bytes", table), slot)->bytes;
}

int64_t TablePackedBytes(int64_t table, AtenTensorHandle layout_handle, bool int8) {
  constexpr const char* kName = "table_packed_bytes";
  // An adapter with more could not be put: its weights would not fit into a tensor.
  constexpr int64_t kMaxRank = int64_t{1} << 20;
  constexpr int64_t kMaxBytes = int64_t{1} << 60;
  const std::shared_ptr<Table> found = FindTable(kName, table);
  const TensorInfo layout = LayoutOf(kName, *found, layout_handle);
  PackedLayout packed;
  for (int64_t i = 0; i < layout.sizes[0]; ++i) {
    const int64_t* row = layout.As<int64_t>() + i * TableShape::kLayoutColumns;
    if (row[0] < 0 || row[0] > kMaxRank) {
      Refuse("%s: the rank of module %lld is %lld, but it must be from 0 to %lld", kName, Long(i), Long(row[0]),
             Long(kMaxRank));
    }
    packed.Add(*found, int8 ? ElementType::kInt8 : found->type(), row[0], row[3] != -1, row[4] != -1);
    if (packed.bytes > kMaxBytes) {
      Refuse("%s: the layout's ranks take more than %lld bytes", kName, Long(kMaxBytes));
    }
  }
  return packed.bytes;
}

void CheckTableMove(int64_t table, int64_t slot, int64_t offset) {
  ReadMove(*FindTable("table_move", table), slot, offset);
}

void TableMove(int64_t table, int64_t slot, int64_t offset) {
  const std::shared_ptr<Table> found = FindTable("table_move", table);
  const Move move = ReadMove(*found, slot, offset);
  const std::shared_ptr<const Adapter> moved = Rebased(*move.adapter, move.target);
  const size_t bytes = static_cast<size_t>(move.adapter->bytes);
  std::memmove(move.target, move.adapter->data, bytes);
  try {
    if (!found->Replace(slot, move.adapter.get(), moved)) {
      Refuse("table_move: slot %lld of table %lld was changed by another thread meanwhile", Long(slot), Long(table));
    }
  } catch (const std::bad_alloc&) {
    std::memmove(move.adapter->data, move.target, bytes);  // the table still says that the adapter lies there
    throw;
  }
}

void CheckTableRemove(int64_t table, int64_t slot) {
  AdapterIn("table_remove", *FindTable("table_remove", table), slot);
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
