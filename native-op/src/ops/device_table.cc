// SPDX-License-Identifier: Apache-2.0
#include "ops/device_table.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "common/errors.h"
#include "cuda/device_layout.h"
#include "ops/kernel_times.h"

namespace djl_lora {

namespace {

using cuda::DeviceError;
using cuda::DeviceModule;
using cuda::SgmvParams;
using cuda::SgmvPath;

constexpr int64_t kEntryBytes = sizeof(DeviceModule);
constexpr int64_t kMaxTokens = 1 << 20;
constexpr int64_t kFirstId = int64_t{1} << 40;  // far from the ids of tables on the CPU

long long Long(int64_t value) { return static_cast<long long>(value); }

struct Registry {
  std::mutex mutex;
  int64_t next = kFirstId;
  std::unordered_map<int64_t, std::shared_ptr<DeviceTable>> tables;
};

// Never destroyed: a thread may still be in an operator while the process ends.
Registry& TheRegistry() {
  static Registry* const kRegistry = new Registry;
  return *kRegistry;
}

void RequireRange(const char* operation, const char* name, int64_t value, int64_t least, int64_t most) {
  if (value < least || value > most) {
    Refuse("%s: %s is %lld, but it must be from %lld to %lld", operation, name, Long(value), Long(least), Long(most));
  }
}

void RequireLimits(const char* operation, const DeviceTableLimits& limits) {
  RequireRange(operation, "slots", limits.slots, 1, TableShape::kMaxSlots);
  RequireRange(operation, "tokens", limits.tokens, 1, kMaxTokens);
  RequireRange(operation, "rank", limits.rank, 1, cuda::kMaxRank);
  RequireRange(operation, "stack_ranks", limits.stack_ranks, 1, int64_t{cuda::kMaxRank} * cuda::kMaxEntries);
}

cuda::ModuleWeights WeightsOf(const ModuleShape& shape, const AdapterModule& module) {
  return {shape.in,
          shape.out,
          module.rank,
          static_cast<const uint16_t*>(module.a),
          static_cast<const uint16_t*>(module.b),
          static_cast<const uint16_t*>(module.out_scale),
          static_cast<const uint16_t*>(module.bias),
          module.scale};
}

void ReadPlan(const SgmvArguments& arguments, const TensorPlace& place, SgmvParams* params) {
  const char* name = arguments.name;
  const SgmvPlan& plan = arguments.plan;
  const bool stacked = plan.entry_starts != nullptr;
  const TensorInfo starts = DescribeFlat(name, "segment_starts", plan.segment_starts, ElementType::kInt64, place);
  const TensorInfo slots =
      DescribeFlat(name, stacked ? "entry_slots" : "slots", plan.slots, ElementType::kInt64, place);
  constexpr int64_t kMost = int64_t{1} << 24;
  if (starts.numel < 1 || starts.numel > kMost || slots.numel > kMost) {
    Refuse("%s: segment_starts is %s and %s is %s, but they have 1 to %lld elements", name, starts.Text().c_str(),
           slots.name, slots.Text().c_str(), Long(kMost));
  }
  const int64_t segments = starts.numel - 1;
  if (!stacked && slots.numel != segments) {
    Refuse("%s: segment_starts is %s and slots is %s, but it must be one longer than slots", name,
           starts.Text().c_str(), slots.Text().c_str());
  }
  if (segments == 0 && params->tokens > 0) {
    Refuse("%s: segment_starts is %s, which has no segment for the %d rows of y", name, starts.Text().c_str(),
           params->tokens);
  }
  params->segments = static_cast<int>(segments);
  params->segment_starts = starts.As<long long>();
  params->slots = slots.As<long long>();
  params->entries = static_cast<int>(slots.numel);
  if (stacked) {
    const TensorInfo entry_starts = DescribeFlat(name, "entry_starts", plan.entry_starts, ElementType::kInt64, place);
    const TensorInfo weights = DescribeFlat(name, "entry_weights", plan.entry_weights, ElementType::kFloat32, place);
    if (entry_starts.numel != starts.numel) {
      Refuse("%s: entry_starts is %s and segment_starts is %s, but they must have the same length", name,
             entry_starts.Text().c_str(), starts.Text().c_str());
    }
    if (weights.numel != slots.numel) {
      Refuse("%s: entry_weights is %s and entry_slots is %s, but they must have the same length", name,
             weights.Text().c_str(), slots.Text().c_str());
    }
    params->entry_starts = entry_starts.As<long long>();
    params->entry_weights = weights.As<float>();
  }
}

// What an error of the kernels says.
std::string ErrorText(const DeviceError& error) {
  switch (error.code) {
    case cuda::kBadSegment:
      return Format("segment_starts has %d, but it must run from 0 to the rows of y without falling", error.value);
    case cuda::kBadSlot:
      return Format("slot %d is outside the table", error.value);
    case cuda::kNoAdapter:
      return Format("slot %d holds no adapter", error.value);
    case cuda::kBadStack:
      return Format(
          "entry_starts gives it %d entries, but it must run from 0 to the entries without falling, and a "
          "segment has at most %d",
          error.value, cuda::kMaxEntries);
    case cuda::kBadWeight:
      return Format("the weight of slot %d is not finite", error.value);
    case cuda::kNotStackable:
      return Format(
          "slot %d has an out_scale (DoRA or IA3) or a bias of its own; only adapters without may be "
          "weighted or stacked",
          error.value);
    case cuda::kRankTooLarge:
      return Format("its ranks come to %d, more than the table was made for", error.value);
    default:
      return Format("error %d", error.code);
  }
}

}  // namespace

DeviceTable::DeviceTable(int64_t id, ElementType type, std::vector<ModuleShape> modules,
                         const DeviceTableLimits& limits, std::shared_ptr<const SgmvDevice> device)
    : TableShape(id, type, std::move(modules)), device_(std::move(device)), places_(static_cast<size_t>(limits.slots)) {
  try {
    embedded_ = device_->Embedded(type);
  } catch (const EngineError& failed) {
    not_embedded_ = failed.what();
  }
  error_ = Empty({static_cast<int64_t>(sizeof(DeviceError))}, ElementType::kUInt8, device_->place());
  CheckTorch(aoti_torch_zero_(error_.get()), "aten::zero_");
  DeviceModule empty{};
  empty.rank = cuda::kEmptySlot;
  const std::vector<DeviceModule> entries(this->modules().size(), empty);
  empty_row_ = Empty({RowBytes()}, ElementType::kUInt8, device_->place());
  Upload(empty_row_, 0, entries.data(), RowBytes());
  buffers_ = NewBuffers(limits, nullptr);
}

int64_t DeviceTable::RowBytes() const { return static_cast<int64_t>(modules().size()) * kEntryBytes; }

std::shared_ptr<const DeviceTable::Buffers> DeviceTable::buffers() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return buffers_;
}

std::shared_ptr<const DeviceTable::Buffers> DeviceTable::NewBuffers(const DeviceTableLimits& limits,
                                                                    const Buffers* before) const {
  auto fresh = std::make_shared<Buffers>();
  fresh->limits = limits;
  DeviceModule empty{};
  empty.rank = cuda::kEmptySlot;
  const int64_t kept = before == nullptr ? 0 : before->limits.slots;
  const int64_t bytes = limits.slots * RowBytes();
  const std::vector<DeviceModule> entries(static_cast<size_t>(limits.slots - kept) * modules().size(), empty);
  fresh->entries = Empty({bytes}, ElementType::kUInt8, device_->place());
  if (kept > 0) {
    const TensorInfo whole = Describe("grow", "entries", fresh->entries.get(), device_->place());
    const Tensor first = View(whole, {kept * RowBytes()}, {1}, 0);
    CheckTorch(aoti_torch_copy_(first.get(), before->entries.get(), 0), "aten::copy_");
  }
  if (limits.slots > kept) {
    Upload(fresh->entries, kept * RowBytes(), entries.data(), bytes - kept * RowBytes());
  }
  // The most that a call may need: of the modules with as many inputs as any of them, kMaxGroup at once.
  int64_t splits = 0;
  for (const ModuleShape& shape : modules()) {
    for (const SgmvPath path : {SgmvPath::kDecode, SgmvPath::kTiles}) {
      splits = std::max(splits, int64_t{cuda::Splits(path, static_cast<int>(shape.in))});
    }
  }
  const int64_t ranks = std::max(limits.rank, limits.stack_ranks);
  fresh->partial = Empty({splits * kMaxGroup * limits.tokens * ranks}, ElementType::kFloat32, device_->place());
  return fresh;
}

void DeviceTable::Grow(const DeviceTableLimits& least) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const DeviceTableLimits& now = buffers_->limits;
  const DeviceTableLimits limits{std::max(now.slots, least.slots), std::max(now.tokens, least.tokens),
                                 std::max(now.rank, least.rank), std::max(now.stack_ranks, least.stack_ranks)};
  RequireLimits("device_table_grow", limits);
  std::shared_ptr<const Buffers> fresh = NewBuffers(limits, buffers_.get());
  places_.resize(static_cast<size_t>(limits.slots));
  buffers_ = std::move(fresh);
}

int64_t DeviceTable::EntriesAddress(int64_t slot) const {
  const std::shared_ptr<const Buffers> now = buffers();
  CheckSlotOf("device_table_entries", *now, slot);
  const TensorInfo entries = Describe("device_table_entries", "entries", now->entries.get(), device_->place());
  return static_cast<int64_t>(reinterpret_cast<uintptr_t>(entries.data)) + slot * RowBytes();
}

void DeviceTable::Upload(const Tensor& target, int64_t offset, const void* bytes, int64_t count) const {
  const TensorInfo whole = Describe("upload", "target", target.get(), device_->place());
  const Tensor part = View(whole, {count}, {1}, offset);
  // libtorch only reads what it copies from
  const Tensor source = Wrap(const_cast<void*>(bytes), {count}, ElementType::kUInt8);
  CheckTorch(aoti_torch_copy_(part.get(), source.get(), 0), "aten::copy_");
}

void DeviceTable::CheckSlotOf(const char* operation, const Buffers& buffers, int64_t slot) const {
  if (slot < 0 || slot >= buffers.limits.slots) {
    Refuse("%s: slot is %lld, but table %lld has slots 0 to %lld", operation, Long(slot), Long(id()),
           Long(buffers.limits.slots - 1));
  }
}

DeviceTable::Arrival DeviceTable::CheckArrival(const char* operation, int64_t slot, AtenTensorHandle weights,
                                               AtenTensorHandle layout, AtenTensorHandle scales,
                                               AtenTensorHandle arena_handle, int64_t offset) const {
  const std::shared_ptr<const Buffers> now = buffers();
  CheckSlotOf(operation, *now, slot);
  Arrival arrival;
  arrival.source = ReadSource(operation, *this, slot, weights, layout, scales);
  for (size_t i = 0; i < arrival.source.modules.size(); ++i) {
    const AdapterModule& module = arrival.source.modules[i];
    if (module.rank > now->limits.rank) {
      Refuse("%s: the rank of module %zu is %lld, but table %lld was made for ranks up to %lld", operation, i,
             Long(module.rank), Long(id()), Long(now->limits.rank));
    }
    arrival.bytes += cuda::DeviceModuleBytes(WeightsOf(modules()[i], module));
  }
  arrival.arena = DescribeFlat(operation, "arena", arena_handle, ElementType::kUInt8, device_->place());
  arrival.begin = reinterpret_cast<uintptr_t>(arrival.arena.data) + static_cast<uintptr_t>(offset);
  if (offset < 0 || arrival.begin % cuda::kPartAlignment != 0) {
    Refuse("%s: offset is %lld, but the adapter must begin at a multiple of %d in the device's memory", operation,
           Long(offset), cuda::kPartAlignment);
  }
  if (offset > arrival.arena.numel - arrival.bytes) {
    Refuse("%s: the adapter's %lld bytes at offset %lld do not lie within arena %s", operation, Long(arrival.bytes),
           Long(offset), arrival.arena.Text().c_str());
  }
  return arrival;
}

DeviceTable::Place DeviceTable::PackArrival(const Arrival& arrival, char* packed) const {
  Place place;
  place.arena = View(arrival.arena, {arrival.arena.numel}, {1}, 0);
  place.begin = arrival.begin;
  place.end = arrival.begin + static_cast<uintptr_t>(arrival.bytes);
  place.entries.reserve(arrival.source.modules.size());
  int64_t used = 0;
  for (size_t i = 0; i < arrival.source.modules.size(); ++i) {
    const cuda::ModuleWeights module = WeightsOf(modules()[i], arrival.source.modules[i]);
    place.entries.push_back(
        cuda::PackDeviceModule(module, packed + used, arrival.begin + static_cast<uintptr_t>(used)));
    used += cuda::DeviceModuleBytes(module);
  }
  return place;
}

void DeviceTable::RequireFree(const char* operation, uintptr_t begin, uintptr_t end, int64_t own) const {
  for (size_t other = 0; other < places_.size(); ++other) {
    if (static_cast<int64_t>(other) != own && begin < places_[other].end && places_[other].begin < end) {
      Refuse("%s: the %lld bytes overlap with those of the adapter in slot %zu of table %lld", operation,
             Long(static_cast<int64_t>(end - begin)), other, Long(id()));
    }
  }
}

void DeviceTable::Put(int64_t slot, AtenTensorHandle weights, AtenTensorHandle layout, AtenTensorHandle scales,
                      AtenTensorHandle arena, int64_t offset) {
  constexpr const char* kName = "device_table_put";
  const Arrival arrival = CheckArrival(kName, slot, weights, layout, scales, arena, offset);
  const std::lock_guard<std::mutex> lock(mutex_);
  RequireFree(kName, arrival.begin, arrival.begin + static_cast<uintptr_t>(arrival.bytes), -1);
  std::vector<char> packed(static_cast<size_t>(arrival.bytes));
  Place place = PackArrival(arrival, packed.data());
  if (arrival.bytes > 0) {
    Upload(place.arena, offset, packed.data(), arrival.bytes);
  }
  Upload(buffers_->entries, slot * RowBytes(), place.entries.data(), RowBytes());
  places_[static_cast<size_t>(slot)] = std::move(place);
}

void DeviceTable::Pack(int64_t slot, AtenTensorHandle weights, AtenTensorHandle layout, AtenTensorHandle scales,
                       AtenTensorHandle arena, int64_t offset, AtenTensorHandle packed_handle) {
  constexpr const char* kName = "device_table_pack";
  const Arrival arrival = CheckArrival(kName, slot, weights, layout, scales, arena, offset);
  const TensorInfo packed = DescribeFlat(kName, "packed", packed_handle, ElementType::kUInt8);
  if (packed.numel != arrival.bytes + RowBytes()) {
    Refuse("%s: packed is %s, but the adapter takes %lld bytes and its entries %lld", kName, packed.Text().c_str(),
           Long(arrival.bytes), Long(RowBytes()));
  }
  Place place = PackArrival(arrival, packed.As<char>());
  std::memcpy(packed.As<char>() + arrival.bytes, place.entries.data(), static_cast<size_t>(RowBytes()));
  const std::lock_guard<std::mutex> lock(mutex_);
  RequireFree(kName, place.begin, place.end, -1);
  places_[static_cast<size_t>(slot)] = std::move(place);
}

void DeviceTable::Remove(int64_t slot) {
  constexpr const char* kName = "device_table_remove";
  const std::lock_guard<std::mutex> lock(mutex_);
  CheckSlotOf(kName, *buffers_, slot);
  if (places_[static_cast<size_t>(slot)].arena.get() == nullptr) {
    Refuse("%s: slot %lld of table %lld holds no adapter", kName, Long(slot), Long(id()));
  }
  // within the device, so that nobody waits for it
  const TensorInfo entries = Describe(kName, "entries", buffers_->entries.get(), device_->place());
  const Tensor row = View(entries, {RowBytes()}, {1}, slot * RowBytes());
  CheckTorch(aoti_torch_copy_(row.get(), empty_row_.get(), 1), "aten::copy_");
  places_[static_cast<size_t>(slot)] = Place();
}

void DeviceTable::Move(int64_t slot, int64_t offset) {
  constexpr const char* kName = "device_table_move";
  const std::lock_guard<std::mutex> lock(mutex_);
  CheckSlotOf(kName, *buffers_, slot);
  Place& place = places_[static_cast<size_t>(slot)];
  if (place.arena.get() == nullptr) {
    Refuse("%s: slot %lld of table %lld holds no adapter", kName, Long(slot), Long(id()));
  }
  const TensorInfo arena = Describe(kName, "arena", place.arena.get(), device_->place());
  const int64_t bytes = static_cast<int64_t>(place.end - place.begin);
  const uintptr_t base = reinterpret_cast<uintptr_t>(arena.data);
  const uintptr_t begin = base + static_cast<uintptr_t>(offset);
  if (offset < 0 || offset > arena.numel - bytes || begin % cuda::kPartAlignment != 0) {
    Refuse("%s: the adapter's %lld bytes at offset %lld must lie within arena %s and begin at a multiple of %d", kName,
           Long(bytes), Long(offset), arena.Text().c_str(), cuda::kPartAlignment);
  }
  RequireFree(kName, begin, begin + static_cast<uintptr_t>(bytes), slot);
  std::vector<DeviceModule> entries = place.entries;
  for (DeviceModule& entry : entries) {
    cuda::ShiftDeviceModule(&entry, static_cast<int64_t>(begin - place.begin));
  }
  if (bytes > 0) {
    const Tensor from = View(arena, {bytes}, {1}, static_cast<int64_t>(place.begin - base));
    const Tensor to = View(arena, {bytes}, {1}, offset);
    const Tensor between = Empty({bytes}, ElementType::kUInt8, device_->place());
    CheckTorch(aoti_torch_copy_(between.get(), from.get(), 1), "aten::copy_");
    CheckTorch(aoti_torch_copy_(to.get(), between.get(), 1), "aten::copy_");
  }
  Upload(buffers_->entries, slot * RowBytes(), entries.data(), RowBytes());
  place.begin = begin;
  place.end = begin + static_cast<uintptr_t>(bytes);
  place.entries = std::move(entries);
}

int64_t DeviceTable::PackedBytes(AtenTensorHandle layout_handle) const {
  constexpr const char* kName = "device_table_packed_bytes";
  const TensorInfo layout = LayoutOf(kName, *this, layout_handle);
  static const uint16_t kPart = 0;  // only whether there is one counts
  const int64_t most = buffers()->limits.rank;
  int64_t bytes = 0;
  for (int64_t i = 0; i < layout.sizes[0]; ++i) {
    const int64_t* row = layout.As<int64_t>() + i * kLayoutColumns;
    if (row[0] < 0 || row[0] > most) {
      Refuse("%s: the rank of module %lld is %lld, but table %lld was made for ranks 0 to %lld", kName, Long(i),
             Long(row[0]), Long(id()), Long(most));
    }
    const ModuleShape& shape = modules()[static_cast<size_t>(i)];
    bytes += cuda::DeviceModuleBytes({shape.in, shape.out, row[0], nullptr, nullptr, row[3] != -1 ? &kPart : nullptr,
                                      row[4] != -1 ? &kPart : nullptr, 0.0f});
  }
  return bytes;
}

void DeviceTable::Sgmv(const SgmvArguments& arguments) {
  const char* name = arguments.name;
  const TensorPlace place = device_->place();
  const std::shared_ptr<const Buffers> now = buffers();
  const DeviceTableLimits& limits = now->limits;
  SgmvProblem problem{};
  const int64_t tokens = CheckTargets(arguments, *this, place, &problem);
  if (tokens > limits.tokens) {
    Refuse("%s: y has %lld rows, but table %lld was made for %lld", name, Long(tokens), Long(id()),
           Long(limits.tokens));
  }
  SgmvParams params{};
  params.x = problem.x;
  params.x_stride = problem.x_stride;
  params.in = static_cast<int>(problem.in);
  params.tokens = static_cast<int>(tokens);
  params.outputs = static_cast<int>(problem.output_count);
  for (size_t i = 0; i < arguments.targets.size(); ++i) {
    const SgmvOutput& output = problem.outputs[i];
    params.output[i] = {output.y, output.y_stride, output.bias, static_cast<int>(output.out),
                        static_cast<int>(arguments.targets[i].module)};
  }
  ReadPlan(arguments, place, &params);
  params.table = Describe(name, "table", now->entries.get(), place).As<DeviceModule>();
  params.table_slots = static_cast<int>(limits.slots);
  params.table_modules = static_cast<int>(modules().size());
  params.error = Describe(name, "error", error_.get(), place).As<DeviceError>();
  params.partial = Describe(name, "partial", now->partial.get(), place).As<float>();
  params.max_rank = static_cast<int>(params.entry_starts != nullptr ? limits.stack_ranks : limits.rank);
  if (tokens == 0) {
    return;
  }
  const SgmvKernels& kernels = KernelsFor(name, problem.in);
  // The launches of one call belong together: all calls share the sums between them.
  const std::lock_guard<std::mutex> lock(launches_);
  const SgmvPath path = cuda::ChoosePath(params, kernels.clusters());
  params.splits = cuda::Splits(path, params.in);
  for (const cuda::KernelLaunch& launch : cuda::Launches(path, params)) {
    kernels.Launch(launch, params);
  }
}

const SgmvKernels* DeviceTable::Given(int64_t in) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const GivenKernels& given : given_) {
    if (given.in == in) {
      return given.kernels.get();
    }
  }
  if (embedded_ == nullptr) {
    for (const GivenKernels& given : given_) {
      if (given.in != 0) {
        return given.kernels.get();
      }
    }
  }
  return nullptr;
}

const SgmvKernels& DeviceTable::KernelsFor(const char* operation, int64_t in) const {
  const SgmvKernels* given = Given(in);
  if (given == nullptr && embedded_ == nullptr) {
    throw EngineError(Format("%s: table %lld has no kernels (%s); device_table_use_image can give it some", operation,
                             Long(id()), not_embedded_.c_str()));
  }
  return given != nullptr ? *given : *embedded_;
}

void DeviceTable::RequireInputs(const char* operation, int64_t in) const {
  if (std::none_of(modules().begin(), modules().end(), [in](const ModuleShape& shape) { return shape.in == in; })) {
    Refuse("%s: in_features is %lld, but no module of table %lld takes as many", operation, Long(in), Long(id()));
  }
}

void DeviceTable::UseImage(AtenTensorHandle image_handle, int64_t in) {
  constexpr const char* kName = "device_table_use_image";
  RequireInputs(kName, in);
  const TensorInfo image = DescribeFlat(kName, "image", image_handle, ElementType::kUInt8);
  constexpr int64_t kLeast = 64;  // an ELF header
  if (image.numel < kLeast) {
    Refuse("%s: image has %lld bytes, which is neither machine code nor PTX", kName, Long(image.numel));
  }
  const char* bytes = image.As<char>();
  if (std::memcmp(bytes, "\177ELF", 4) != 0 && bytes[image.numel - 1] != '\0') {
    Refuse("%s: image is not machine code, and not PTX either: no zero ends it", kName);
  }
  std::shared_ptr<const SgmvKernels> kernels;
  try {
    kernels = device_->Load(type(), bytes);
  } catch (const EngineError& failed) {
    throw EngineError(Format("%s: %s", kName, failed.what()));
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  Retire(in);
  given_.push_back({in, std::move(kernels)});
}

void DeviceTable::DropImage(int64_t in) {
  RequireInputs("device_table_drop_image", in);
  const std::lock_guard<std::mutex> lock(mutex_);
  Retire(in);
}

void DeviceTable::Retire(int64_t in) {
  for (GivenKernels& given : given_) {
    given.in = given.in == in ? 0 : given.in;
  }
}

std::pair<double, double> DeviceTable::TimeImage(const std::vector<int64_t>& modules_of_call, int64_t segments,
                                                 int64_t rank) const {
  constexpr const char* kName = "device_table_time_image";
  const int64_t count = static_cast<int64_t>(modules_of_call.size());
  if (count < 1 || count > kMaxGroup) {
    Refuse("%s: modules has %lld values, but it must have 1 to %lld", kName, Long(count), Long(kMaxGroup));
  }
  TimedCall call{type(), 0, {}, segments, rank, std::max(rank, buffers()->limits.rank)};
  for (const int64_t module : modules_of_call) {
    if (module < 0 || module >= static_cast<int64_t>(modules().size())) {
      Refuse("%s: modules has %lld, but table %lld has modules 0 to %lld", kName, Long(module), Long(id()),
             Long(static_cast<int64_t>(modules().size()) - 1));
    }
    const ModuleShape& shape = modules()[static_cast<size_t>(module)];
    if (call.in != 0 && shape.in != call.in) {
      Refuse("%s: modules take %lld and %lld inputs, but a group shares x", kName, Long(call.in), Long(shape.in));
    }
    call.in = shape.in;
    call.outs.push_back(shape.out);
  }
  constexpr int64_t kMostSegments = 4096;
  if (segments < 1 || segments > kMostSegments) {
    Refuse("%s: segments is %lld, but it must be from 1 to %lld", kName, Long(segments), Long(kMostSegments));
  }
  if (rank < 1 || rank > cuda::kMaxRank) {
    Refuse("%s: rank is %lld, but it must be from 1 to %d", kName, Long(rank), cuda::kMaxRank);
  }
  if (embedded_ == nullptr) {
    Refuse("%s: table %lld has no kernels but its images' (%s)", kName, Long(id()), not_embedded_.c_str());
  }
  const SgmvKernels* given = Given(call.in);
  if (given == nullptr) {
    Refuse("%s: table %lld has no image for in_features %lld", kName, Long(id()), Long(call.in));
  }
  return TimeKernels(*device_, call, *embedded_, *given);
}

void DeviceTable::Check() {
  DeviceError error{};
  const Tensor host = Wrap(&error, {static_cast<int64_t>(sizeof(error))}, ElementType::kUInt8);
  CheckTorch(aoti_torch_copy_(host.get(), error_.get(), 0), "aten::copy_");
  if (error.code != cuda::kNoError) {
    CheckTorch(aoti_torch_zero_(error_.get()), "aten::zero_");
    Refuse("segment %d of a call on table %lld: %s; its rows are NaN", error.segment, Long(id()),
           ErrorText(error).c_str());
  }
}

std::shared_ptr<DeviceTable> FindDeviceTable(const char* operation, int64_t table) {
  Registry& registry = TheRegistry();
  const std::lock_guard<std::mutex> lock(registry.mutex);
  const auto found = registry.tables.find(table);
  if (found == registry.tables.end()) {
    Refuse("%s: there is no table %lld on a device (%s)", operation, Long(table),
           table < kFirstId        ? "it would be one on the CPU"
           : table < registry.next ? "it was closed"
                                   : "no such table was created");
  }
  return found->second;
}

int64_t DeviceTableCreate(AtenTensorHandle in_features, AtenTensorHandle out_features, int64_t type,
                          const DeviceTableLimits& limits, std::shared_ptr<const SgmvDevice> device) {
  constexpr const char* kName = "device_table_create";
  std::vector<ModuleShape> shapes = ReadShapes(kName, in_features, out_features, type);
  const ElementType element = static_cast<ElementType>(type);
  if (element == ElementType::kFloat32) {
    Refuse("%s: dtype is float32, but kernels on a device compute with 1 (float16) or 2 (bfloat16)", kName);
  }
  constexpr int64_t kMostFeatures = int64_t{1} << 30;
  for (const ModuleShape& shape : shapes) {
    RequireRange(kName, "a module's number of inputs or outputs", std::max(shape.in, shape.out), 1, kMostFeatures);
  }
  RequireLimits(kName, limits);
  Registry& registry = TheRegistry();
  int64_t id = 0;
  {
    const std::lock_guard<std::mutex> lock(registry.mutex);
    id = registry.next++;
  }
  // without the lock: memory is allocated and written
  auto table = std::make_shared<DeviceTable>(id, element, std::move(shapes), limits, std::move(device));
  const std::lock_guard<std::mutex> lock(registry.mutex);
  registry.tables.emplace(id, std::move(table));
  return id;
}

void DeviceTableClose(int64_t table) {
  const std::shared_ptr<DeviceTable> found = FindDeviceTable("device_table_close", table);  // freed after the lock
  Registry& registry = TheRegistry();
  const std::lock_guard<std::mutex> lock(registry.mutex);
  registry.tables.erase(table);
}

int64_t OpenDeviceTables() {
  Registry& registry = TheRegistry();
  const std::lock_guard<std::mutex> lock(registry.mutex);
  return static_cast<int64_t>(registry.tables.size());
}

}  // namespace djl_lora
