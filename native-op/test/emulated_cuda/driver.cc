// SPDX-License-Identifier: Apache-2.0
//
// NVIDIA's driver as far as this project uses it, with memory of the host as the devices' and with the kernels run by
// the emulator. Its SONAME is the driver's, libcuda.so.1: where a process has loaded it by its path, JCuda and this
// project's library get it in place of a driver. Work on streams is done by their threads, so calls return before it is
// done, as with a GPU. An address that was not allocated here may be given as device memory too: tensors of a CPU build
// of libtorch stand for those of a GPU.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <iostream>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "cuda/driver_c.h"
#include "emulated_cuda/control.h"
#include "emulated_cuda/kernels.h"
#include "emulated_cuda/streams.h"

namespace djl_lora::emulated {

namespace {

constexpr CuResult kNotInitialized = 3;
constexpr CuResult kInvalidDevice = 101;
constexpr CuResult kInvalidContext = 201;
constexpr CuResult kAlreadyRegistered = 712;
constexpr CuResult kNotRegistered = 713;
constexpr CuResult kInvalidHandle = 400;
constexpr CuResult kContextIsDestroyed = 709;
constexpr CuResult kLaunchFailed = 719;

constexpr uint32_t kPlainSharedBytes = 48 << 10;
constexpr int32_t kMostSharedBytes = 227 << 10;
constexpr uint32_t kStreamNonBlocking = 1;
constexpr size_t kAlignment = 512;

struct Device {
  int32_t major = 9;
  int32_t minor = 0;
  int64_t bytes = int64_t{1} << 30;
  int64_t used = 0;
  int64_t retained = 0;
  bool failed = false;  // a kernel did, and nothing works in the context any more
  CuContext context;
  std::shared_ptr<Stream> default_stream;
};

struct Event {
  int device;
  uint32_t flags;
  CompletionPtr recorded;
};

struct Function {
  std::string name;
  Prepare prepare;
  uint32_t shared_bytes = kPlainSharedBytes;
};

struct Module {
  std::map<std::string, std::unique_ptr<Function>> functions;
};

struct Stretch {
  size_t bytes;
  int device;
};

// Stretches of memory that do not overlap, by their addresses.
using Stretches = std::map<uintptr_t, Stretch>;

struct State {
  std::mutex mutex;
  bool initialized = false;
  std::vector<std::unique_ptr<Device>> devices;
  Stretches allocations;
  Stretches pinned;
  Stretches registered;
  std::map<CuStream, std::shared_ptr<Stream>> streams;
  std::map<CuEvent, std::unique_ptr<Event>> events;
  std::map<CuModule, std::unique_ptr<Module>> modules;
  std::map<std::string, std::pair<CuResult, int32_t>> failures;
  std::map<int64_t, CompletionPtr> held;
  int64_t pinned_limit = std::numeric_limits<int64_t>::max();
  int64_t copy_nanoseconds = 0;
  uint64_t seed = 1;
  std::map<std::string, int64_t> happened{{"launches", 0}, {"copies", 0}, {"copied bytes", 0}, {"pageable copies", 0}};
};

void Configure(State* state, int32_t devices, int32_t major, int32_t minor, int64_t bytes) {
  for (size_t i = 0; i < static_cast<size_t>(devices); ++i) {
    if (i == state->devices.size()) {
      state->devices.push_back(std::make_unique<Device>());
      state->devices[i]->context = reinterpret_cast<CuContext>(state->devices[i].get());
      state->devices[i]->default_stream = std::make_shared<Stream>(static_cast<int>(i), true, 0);
    }
    Device& device = *state->devices[i];
    device.bytes = bytes;
    if (device.retained == 0) {
      device.major = major;
      device.minor = minor;
    }
  }
  while (state->devices.size() > static_cast<size_t>(devices) && state->devices.back()->retained == 0) {
    state->devices.pop_back();
  }
}

// Never destroyed: streams' threads run until the process has ended.
State& Global() {
  static State* const state = [] {
    auto* made = new State;
    Configure(made, 1, 9, 0, int64_t{1} << 30);
    return made;
  }();
  return *state;
}

thread_local std::vector<CuContext> contexts;  // the current one is the last

// The code that a test has planned for a call.
CuResult Planned(State* state, const char* function) {
  const auto found = state->failures.find(function);
  if (found == state->failures.end() || found->second.second == 0) {
    return kCuSuccess;
  }
  --found->second.second;
  return found->second.first;
}

// The calling thread's device.
CuResult CurrentDevice(const State& state, int* device) {
  if (contexts.empty() || contexts.back() == nullptr) {
    return kInvalidContext;
  }
  for (size_t i = 0; i < state.devices.size(); ++i) {
    if (state.devices[i]->context == contexts.back()) {
      if (state.devices[i]->retained == 0) {
        return kContextIsDestroyed;
      }
      *device = static_cast<int>(i);
      return state.devices[i]->failed ? kLaunchFailed : kCuSuccess;
    }
  }
  return kInvalidContext;
}

bool IsDevice(const State& state, CuDevice device) {
  return device >= 0 && static_cast<size_t>(device) < state.devices.size();
}

// The stream of a handle, null where it is none. 0, 1 and 2 are the default streams.
std::shared_ptr<Stream> Find(const State& state, CuStream handle, int device) {
  if (reinterpret_cast<uintptr_t>(handle) <= 2) {
    return state.devices[static_cast<size_t>(device)]->default_stream;
  }
  const auto found = state.streams.find(handle);
  return found == state.streams.end() ? nullptr : found->second;
}

// All streams of a device.
std::vector<std::shared_ptr<Stream>> StreamsOf(const State& state, int device) {
  std::vector<std::shared_ptr<Stream>> all{state.devices[static_cast<size_t>(device)]->default_stream};
  for (const auto& each : state.streams) {
    if (each.second->device() == device) {
      all.push_back(each.second);
    }
  }
  return all;
}

// Adds work to a stream, behind what the default stream has where the two wait for each other.
CompletionPtr Add(const State& state, const std::shared_ptr<Stream>& stream, std::function<void()> work) {
  const std::shared_ptr<Stream>& default_stream = state.devices[static_cast<size_t>(stream->device())]->default_stream;
  std::vector<CompletionPtr> after;
  if (stream == default_stream) {
    for (const auto& other : StreamsOf(state, stream->device())) {
      if (other != stream && other->blocking()) {
        after.push_back(other->last());
      }
    }
  } else if (stream->blocking()) {
    after.push_back(default_stream->last());
  }
  return Stream::Add(stream, std::move(after), std::move(work));
}

// What has to be done until all that a device has been given so far is.
std::vector<CompletionPtr> Everything(const State& state, int device) {
  std::vector<CompletionPtr> all;
  for (const auto& stream : StreamsOf(state, device)) {
    all.push_back(stream->last());
  }
  return all;
}

void WaitForAll(const std::vector<CompletionPtr>& all) {
  for (const CompletionPtr& each : all) {
    each->Wait();
  }
}

// The stretch that an address lies in, or null.
const Stretches::value_type* Around(const Stretches& stretches, uintptr_t address) {
  const auto behind = stretches.upper_bound(address);
  if (behind == stretches.begin()) {
    return nullptr;
  }
  const auto& before = *std::prev(behind);
  return address - before.first < before.second.bytes ? &before : nullptr;
}

// Whether bytes from an address on lie in the allocation that it is in, if it is in one.
bool Fits(const State& state, CuDevicePtr address, size_t bytes) {
  const auto* stretch = Around(state.allocations, address);
  return address != 0 && (stretch == nullptr || bytes <= stretch->first + stretch->second.bytes - address);
}

bool IsPinned(const State& state, const void* address, size_t bytes) {
  const auto place = reinterpret_cast<uintptr_t>(address);
  for (const Stretches* each : {&state.pinned, &state.registered}) {
    const auto* stretch = Around(*each, place);
    if (stretch != nullptr && bytes <= stretch->first + stretch->second.bytes - place) {
      return true;
    }
  }
  return false;
}

int64_t Total(const Stretches& stretches) {
  int64_t bytes = 0;
  for (const auto& each : stretches) {
    bytes += static_cast<int64_t>(each.second.bytes);
  }
  return bytes;
}

// How much more of the host's memory may be pinned.
size_t PinnableBytes(const State& state) {
  const int64_t left = state.pinned_limit - Total(state.pinned) - Total(state.registered);
  return static_cast<size_t>(std::max<int64_t>(0, left));
}

void* TakeMemory(size_t bytes) {
  return std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
}

std::function<void()> Copy(const State& state, void* target, const void* source, size_t bytes) {
  const std::chrono::nanoseconds slow(state.copy_nanoseconds);
  return [=] {
    if (slow.count() > 0) {
      std::this_thread::sleep_for(slow);
    }
    std::memmove(target, source, bytes);
  };
}

void Count(State* state, size_t bytes) {
  ++state->happened["copies"];
  state->happened["copied bytes"] += static_cast<int64_t>(bytes);
}

CuResult ToDevice(State* state, const std::shared_ptr<Stream>& stream, CuDevicePtr target, const void* source,
                  size_t bytes, CompletionPtr* done) {
  if (!Fits(*state, target, bytes) || source == nullptr) {
    return kCuErrorInvalidValue;
  }
  Count(state, bytes);
  auto* to = reinterpret_cast<void*>(target);
  if (IsPinned(*state, source, bytes)) {
    *done = Add(*state, stream, Copy(*state, to, source, bytes));
    return kCuSuccess;
  }
  // from memory that is not pinned the driver copies into its own before the call returns
  ++state->happened["pageable copies"];
  const auto* from = static_cast<const char*>(source);
  auto kept = std::make_shared<std::vector<char>>(from, from + bytes);
  *done = Add(*state, stream, [kept, copy = Copy(*state, to, kept->data(), bytes)] { copy(); });
  return kCuSuccess;
}

CuResult ToHost(State* state, const std::shared_ptr<Stream>& stream, void* target, CuDevicePtr source, size_t bytes,
                CompletionPtr* done, bool* pageable) {
  if (!Fits(*state, source, bytes) || target == nullptr) {
    return kCuErrorInvalidValue;
  }
  Count(state, bytes);
  *pageable = !IsPinned(*state, target, bytes);
  state->happened["pageable copies"] += *pageable ? 1 : 0;
  *done = Add(*state, stream, Copy(*state, target, reinterpret_cast<const void*>(source), bytes));
  return kCuSuccess;
}

CuResult OnDevice(State* state, const std::shared_ptr<Stream>& stream, CuDevicePtr target, CuDevicePtr source,
                  size_t bytes) {
  if (!Fits(*state, target, bytes) || !Fits(*state, source, bytes)) {
    return kCuErrorInvalidValue;
  }
  Count(state, bytes);
  Add(*state, stream, Copy(*state, reinterpret_cast<void*>(target), reinterpret_cast<const void*>(source), bytes));
  return kCuSuccess;
}

CuResult StartKernel(State* state, const std::shared_ptr<Stream>& stream, Function* function,
                     const emulator::Grid& grid, void** arguments) {
  if (grid.shared_bytes > function->shared_bytes || grid.blocks[0] % grid.cluster != 0 || arguments == nullptr) {
    return kCuErrorInvalidValue;
  }
  ++state->happened["launches"];
  const uint64_t seed = state->seed++;
  Device* device = state->devices[static_cast<size_t>(stream->device())].get();
  Add(*state, stream, [=, kernel = function->prepare(arguments), name = function->name] {
    try {
      kernel(grid, seed);
    } catch (const std::exception& failed) {
      std::cerr << "emulated kernel " << name << ": " << failed.what() << std::endl;
      const std::lock_guard<std::mutex> lock(Global().mutex);
      device->failed = true;
    }
  });
  return kCuSuccess;
}

struct Code {
  CuResult code;
  const char* name;
  const char* text;
};

constexpr Code kCodes[] = {
    {kCuSuccess, "CUDA_SUCCESS", "no error"},
    {kCuErrorInvalidValue, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {kCuErrorOutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {kNotInitialized, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {kCuErrorNoDevice, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {kInvalidDevice, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {kCuErrorInvalidImage, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {kInvalidContext, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {kInvalidHandle, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {kCuErrorNotFound, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {kCuErrorNotReady, "CUDA_ERROR_NOT_READY", "device not ready"},
    {kContextIsDestroyed, "CUDA_ERROR_CONTEXT_IS_DESTROYED", "context is destroyed"},
    {kAlreadyRegistered, "CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED", "part or all of the range is registered"},
    {kNotRegistered, "CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED", "pointer is not registered"},
    {kLaunchFailed, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
};

const Code* FindCode(CuResult code) {
  const auto* found = std::find_if(std::begin(kCodes), std::end(kCodes), [&](const Code& c) { return c.code == code; });
  return found == std::end(kCodes) ? nullptr : found;
}

}  // namespace

#define FUNCTION(symbol, ...) extern "C" __attribute__((visibility("default"))) CuResult symbol(__VA_ARGS__)

// Takes the lock, and returns what a test has planned or what is wrong before any argument is looked at.
#define BEGIN(symbol)                                      \
  State& state = Global();                                 \
  std::unique_lock<std::mutex> lock(state.mutex);          \
  if (const CuResult planned = Planned(&state, #symbol)) { \
    return planned;                                        \
  }                                                        \
  if (!state.initialized) {                                \
    return kNotInitialized;                                \
  }

// The same where the calling thread must have a context, whose device is `device`.
#define BEGIN_IN_CONTEXT(symbol)                              \
  BEGIN(symbol)                                               \
  int device = 0;                                             \
  if (const CuResult wrong = CurrentDevice(state, &device)) { \
    return wrong;                                             \
  }

// The same for work on a stream.
#define BEGIN_ON_STREAM(symbol, handle)                               \
  BEGIN_IN_CONTEXT(symbol)                                            \
  const std::shared_ptr<Stream> stream = Find(state, handle, device); \
  if (stream == nullptr) {                                            \
    return kInvalidHandle;                                            \
  }

// Also for functions that take an event, which is `event`.
#define FIND_EVENT(handle)                            \
  const auto found_event = state.events.find(handle); \
  if (found_event == state.events.end()) {            \
    return kInvalidHandle;                            \
  }                                                   \
  Event& event = *found_event->second;

DJL_LORA_EMULATED_EXPORT void emulated_cuda_configure(int32_t devices, int32_t major, int32_t minor, int64_t bytes) {
  const std::lock_guard<std::mutex> lock(Global().mutex);
  Configure(&Global(), devices, major, minor, bytes);
}

DJL_LORA_EMULATED_EXPORT void emulated_cuda_limit_pinned(int64_t bytes) {
  const std::lock_guard<std::mutex> lock(Global().mutex);
  Global().pinned_limit = bytes;
}

DJL_LORA_EMULATED_EXPORT void emulated_cuda_fail(const char* function, int32_t code, int32_t times) {
  const std::lock_guard<std::mutex> lock(Global().mutex);
  Global().failures[function] = {code, times};
}

DJL_LORA_EMULATED_EXPORT void emulated_cuda_slow_copies(int64_t nanoseconds) {
  const std::lock_guard<std::mutex> lock(Global().mutex);
  Global().copy_nanoseconds = nanoseconds;
}

DJL_LORA_EMULATED_EXPORT void emulated_cuda_hold(int64_t handle) {
  State& state = Global();
  const std::lock_guard<std::mutex> lock(state.mutex);
  int device = 0;
  CurrentDevice(state, &device);
  const std::shared_ptr<Stream> stream = Find(state, reinterpret_cast<CuStream>(handle), device);
  if (stream != nullptr && state.held.count(handle) == 0) {
    auto let_go = std::make_shared<Completion>();
    state.held[handle] = let_go;
    Add(state, stream, [let_go] { let_go->Wait(); });
  }
}

DJL_LORA_EMULATED_EXPORT void emulated_cuda_let_go(int64_t handle) {
  State& state = Global();
  const std::lock_guard<std::mutex> lock(state.mutex);
  const auto found = state.held.find(handle);
  if (found != state.held.end()) {
    found->second->Set();
    state.held.erase(found);
  }
}

DJL_LORA_EMULATED_EXPORT int64_t emulated_cuda_count(const char* what) {
  State& state = Global();
  const std::lock_guard<std::mutex> lock(state.mutex);
  int64_t retained = 0;
  for (const auto& device : state.devices) {
    retained += device->retained;
  }
  const std::map<std::string, int64_t> alive{
      {"allocations", state.allocations.size()}, {"allocated bytes", Total(state.allocations)},
      {"pinned", state.pinned.size()},           {"pinned bytes", Total(state.pinned)},
      {"registered", state.registered.size()},   {"registered bytes", Total(state.registered)},
      {"streams", state.streams.size()},         {"events", state.events.size()},
      {"modules", state.modules.size()},         {"contexts", retained}};
  for (const auto* counts : {&alive, &std::as_const(state.happened)}) {
    const auto found = counts->find(what);
    if (found != counts->end()) {
      return found->second;
    }
  }
  return -1;
}

FUNCTION(cuInit, uint32_t flags) {
  State& state = Global();
  const std::lock_guard<std::mutex> lock(state.mutex);
  if (const CuResult planned = Planned(&state, "cuInit")) {
    return planned;
  }
  if (flags != 0) {
    return kCuErrorInvalidValue;
  }
  if (state.devices.empty()) {
    return kCuErrorNoDevice;
  }
  state.initialized = true;
  return kCuSuccess;
}

FUNCTION(cuDriverGetVersion, int32_t* version) {
  *version = 13000;
  return kCuSuccess;
}

FUNCTION(cuGetErrorName, CuResult code, const char** name) {
  const Code* found = FindCode(code);
  *name = found == nullptr ? nullptr : found->name;
  return found == nullptr ? kCuErrorInvalidValue : kCuSuccess;
}

FUNCTION(cuGetErrorString, CuResult code, const char** text) {
  const Code* found = FindCode(code);
  *text = found == nullptr ? nullptr : found->text;
  return found == nullptr ? kCuErrorInvalidValue : kCuSuccess;
}

FUNCTION(cuDeviceGetCount, int32_t* count) {
  BEGIN(cuDeviceGetCount)
  *count = static_cast<int32_t>(state.devices.size());
  return kCuSuccess;
}

FUNCTION(cuDeviceGet, CuDevice* device, int32_t ordinal) {
  BEGIN(cuDeviceGet)
  *device = ordinal;
  return IsDevice(state, ordinal) ? kCuSuccess : kInvalidDevice;
}

FUNCTION(cuDeviceGetName, char* name, int32_t length, CuDevice device) {
  BEGIN(cuDeviceGetName)
  if (!IsDevice(state, device) || length < 1) {
    return kInvalidDevice;
  }
  const std::string text = device == 0 ? "Emulated" : "Emulated " + std::to_string(device);
  const size_t copied = text.copy(name, static_cast<size_t>(length) - 1);
  name[copied] = '\0';
  return kCuSuccess;
}

FUNCTION(cuDeviceGetAttribute, int32_t* value, int32_t attribute, CuDevice device) {
  BEGIN(cuDeviceGetAttribute)
  if (!IsDevice(state, device)) {
    return kInvalidDevice;
  }
  switch (attribute) {
    case kCuDeviceComputeMajor:
      *value = state.devices[static_cast<size_t>(device)]->major;
      return kCuSuccess;
    case kCuDeviceComputeMinor:
      *value = state.devices[static_cast<size_t>(device)]->minor;
      return kCuSuccess;
    case kCuDeviceSharedBytesOptIn:
      *value = kMostSharedBytes;
      return kCuSuccess;
    case kCuDeviceMultiprocessors:
      *value = 4;
      return kCuSuccess;
    case kCuDeviceL2Bytes:
      *value = 64 << 10;
      return kCuSuccess;
    default:
      return kCuErrorInvalidValue;
  }
}

FUNCTION(cuDeviceTotalMem_v2, size_t* bytes, CuDevice device) {
  BEGIN(cuDeviceTotalMem_v2)
  if (!IsDevice(state, device)) {
    return kInvalidDevice;
  }
  *bytes = static_cast<size_t>(state.devices[static_cast<size_t>(device)]->bytes);
  return kCuSuccess;
}

FUNCTION(cuDevicePrimaryCtxRetain, CuContext* context, CuDevice device) {
  BEGIN(cuDevicePrimaryCtxRetain)
  if (!IsDevice(state, device)) {
    return kInvalidDevice;
  }
  Device& retained = *state.devices[static_cast<size_t>(device)];
  ++retained.retained;
  *context = retained.context;
  return kCuSuccess;
}

FUNCTION(cuDevicePrimaryCtxRelease_v2, CuDevice device) {
  BEGIN(cuDevicePrimaryCtxRelease_v2)
  if (!IsDevice(state, device)) {
    return kInvalidDevice;
  }
  Device& released = *state.devices[static_cast<size_t>(device)];
  if (released.retained == 0) {
    return kInvalidContext;
  }
  --released.retained;
  return kCuSuccess;
}

FUNCTION(cuDevicePrimaryCtxGetState, CuDevice device, uint32_t* flags, int32_t* active) {
  BEGIN(cuDevicePrimaryCtxGetState)
  if (!IsDevice(state, device)) {
    return kInvalidDevice;
  }
  *flags = 0;
  *active = state.devices[static_cast<size_t>(device)]->retained > 0 ? 1 : 0;
  return kCuSuccess;
}

FUNCTION(cuCtxGetCurrent, CuContext* context) {
  BEGIN(cuCtxGetCurrent)
  *context = contexts.empty() ? nullptr : contexts.back();
  return kCuSuccess;
}

FUNCTION(cuCtxSetCurrent, CuContext context) {
  BEGIN(cuCtxSetCurrent)
  if (!contexts.empty()) {
    contexts.pop_back();
  }
  if (context != nullptr) {
    contexts.push_back(context);
  }
  return kCuSuccess;
}

FUNCTION(cuCtxPushCurrent_v2, CuContext context) {
  BEGIN(cuCtxPushCurrent_v2)
  if (context == nullptr) {
    return kInvalidContext;
  }
  contexts.push_back(context);
  return kCuSuccess;
}

FUNCTION(cuCtxPopCurrent_v2, CuContext* context) {
  BEGIN(cuCtxPopCurrent_v2)
  if (contexts.empty()) {
    return kInvalidContext;
  }
  if (context != nullptr) {
    *context = contexts.back();
  }
  contexts.pop_back();
  return kCuSuccess;
}

FUNCTION(cuCtxGetDevice, CuDevice* device_out) {
  BEGIN_IN_CONTEXT(cuCtxGetDevice)
  *device_out = device;
  return kCuSuccess;
}

FUNCTION(cuCtxGetStreamPriorityRange, int32_t* least, int32_t* greatest) {
  BEGIN_IN_CONTEXT(cuCtxGetStreamPriorityRange)
  *least = 0;
  *greatest = -5;
  return kCuSuccess;
}

FUNCTION(cuCtxSynchronize, void) {
  BEGIN_IN_CONTEXT(cuCtxSynchronize)
  const std::vector<CompletionPtr> all = Everything(state, device);
  lock.unlock();
  WaitForAll(all);
  return kCuSuccess;
}

FUNCTION(cuModuleLoadDataEx, CuModule* module, const void* image, uint32_t, int32_t*, void**) {
  BEGIN_IN_CONTEXT(cuModuleLoadDataEx)
  if (image == nullptr) {
    return kCuErrorInvalidImage;
  }
  auto loaded = std::make_unique<Module>();
  *module = reinterpret_cast<CuModule>(loaded.get());
  state.modules[*module] = std::move(loaded);
  return kCuSuccess;
}

FUNCTION(cuModuleLoadData, CuModule* module, const void* image) {
  return cuModuleLoadDataEx(module, image, 0, nullptr, nullptr);
}

FUNCTION(cuModuleUnload, CuModule module) {
  BEGIN_IN_CONTEXT(cuModuleUnload)
  return state.modules.erase(module) == 1 ? kCuSuccess : kInvalidHandle;
}

FUNCTION(cuModuleGetFunction, CuFunction* function, CuModule module, const char* name) {
  BEGIN_IN_CONTEXT(cuModuleGetFunction)
  const auto found = state.modules.find(module);
  if (found == state.modules.end()) {
    return kInvalidHandle;
  }
  const Prepare prepare = FindKernel(name);
  if (prepare == nullptr) {
    return kCuErrorNotFound;
  }
  std::unique_ptr<Function>& made = found->second->functions[name];
  if (made == nullptr) {
    made = std::make_unique<Function>(Function{name, prepare});
  }
  *function = reinterpret_cast<CuFunction>(made.get());
  return kCuSuccess;
}

FUNCTION(cuFuncGetAttribute, int32_t* value, int32_t attribute, CuFunction function) {
  BEGIN(cuFuncGetAttribute)
  *value = attribute == kCuFunctionDynamicSharedBytes
               ? static_cast<int32_t>(reinterpret_cast<Function*>(function)->shared_bytes)
           : attribute == kCuFunctionPtxVersion ? 90
                                                : 0;
  return kCuSuccess;
}

FUNCTION(cuFuncSetAttribute, CuFunction function, int32_t attribute, int32_t value) {
  BEGIN(cuFuncSetAttribute)
  if (attribute == kCuFunctionDynamicSharedBytes) {
    if (value < 0 || value > kMostSharedBytes) {
      return kCuErrorInvalidValue;
    }
    reinterpret_cast<Function*>(function)->shared_bytes = static_cast<uint32_t>(value);
  }
  return kCuSuccess;
}

FUNCTION(cuOccupancyMaxActiveBlocksPerMultiprocessor, int32_t* blocks, CuFunction, int32_t, size_t) {
  BEGIN(cuOccupancyMaxActiveBlocksPerMultiprocessor)
  *blocks = 2;
  return kCuSuccess;
}

FUNCTION(cuLaunchKernel, CuFunction function, uint32_t grid_x, uint32_t grid_y, uint32_t grid_z, uint32_t block_x,
         uint32_t block_y, uint32_t block_z, uint32_t shared_bytes, CuStream handle, void** arguments, void**) {
  BEGIN_ON_STREAM(cuLaunchKernel, handle)
  return StartKernel(&state, stream, reinterpret_cast<Function*>(function),
                     {{grid_x, grid_y, grid_z}, block_x * block_y * block_z, 1, shared_bytes}, arguments);
}

FUNCTION(cuLaunchKernelEx, const CuLaunchConfig* config, CuFunction function, void** arguments, void**) {
  BEGIN_ON_STREAM(cuLaunchKernelEx, config->stream)
  emulator::Grid grid{{config->grid[0], config->grid[1], config->grid[2]},
                      config->block[0] * config->block[1] * config->block[2],
                      1,
                      config->shared_bytes};
  for (uint32_t i = 0; i < config->attribute_count; ++i) {
    if (config->attributes[i].id == kCuLaunchClusterDimension) {
      const uint32_t* cluster = config->attributes[i].value.cluster;
      if (state.devices[static_cast<size_t>(device)]->major < 9 || cluster[1] != 1 || cluster[2] != 1) {
        return kCuErrorInvalidValue;
      }
      grid.cluster = cluster[0];
    }
  }
  return StartKernel(&state, stream, reinterpret_cast<Function*>(function), grid, arguments);
}

FUNCTION(cuMemGetInfo_v2, size_t* free_bytes, size_t* total_bytes) {
  BEGIN_IN_CONTEXT(cuMemGetInfo_v2)
  const Device& asked = *state.devices[static_cast<size_t>(device)];
  *free_bytes = static_cast<size_t>(std::max<int64_t>(0, asked.bytes - asked.used));
  *total_bytes = static_cast<size_t>(asked.bytes);
  return kCuSuccess;
}

FUNCTION(cuMemAlloc_v2, CuDevicePtr* address, size_t bytes) {
  BEGIN_IN_CONTEXT(cuMemAlloc_v2)
  Device& taken = *state.devices[static_cast<size_t>(device)];
  if (bytes == 0) {
    return kCuErrorInvalidValue;
  }
  if (bytes > static_cast<size_t>(std::max<int64_t>(0, taken.bytes - taken.used))) {
    return kCuErrorOutOfMemory;
  }
  void* memory = TakeMemory(bytes);
  if (memory == nullptr) {
    return kCuErrorOutOfMemory;
  }
  taken.used += static_cast<int64_t>(bytes);
  *address = reinterpret_cast<CuDevicePtr>(memory);
  state.allocations[*address] = {bytes, device};
  return kCuSuccess;
}

// Waits for the device, as a driver does.
FUNCTION(cuMemFree_v2, CuDevicePtr address) {
  BEGIN(cuMemFree_v2)
  const auto found = state.allocations.find(address);
  if (found == state.allocations.end()) {
    return kCuErrorInvalidValue;
  }
  const Stretch freed = found->second;
  state.allocations.erase(found);
  state.devices[static_cast<size_t>(freed.device)]->used -= static_cast<int64_t>(freed.bytes);
  const std::vector<CompletionPtr> all = Everything(state, freed.device);
  lock.unlock();
  WaitForAll(all);
  std::free(reinterpret_cast<void*>(address));
  return kCuSuccess;
}

FUNCTION(cuMemHostAlloc, void** address, size_t bytes, uint32_t) {
  BEGIN_IN_CONTEXT(cuMemHostAlloc)
  if (bytes == 0) {
    return kCuErrorInvalidValue;
  }
  *address = bytes > PinnableBytes(state) ? nullptr : TakeMemory(bytes);
  if (*address == nullptr) {
    return kCuErrorOutOfMemory;
  }
  state.pinned[reinterpret_cast<uintptr_t>(*address)] = {bytes, device};
  return kCuSuccess;
}

FUNCTION(cuMemAllocHost_v2, void** address, size_t bytes) { return cuMemHostAlloc(address, bytes, 0); }

// Waits for the device, as a driver does.
FUNCTION(cuMemFreeHost, void* address) {
  BEGIN(cuMemFreeHost)
  const auto found = state.pinned.find(reinterpret_cast<uintptr_t>(address));
  if (found == state.pinned.end()) {
    return kCuErrorInvalidValue;
  }
  const std::vector<CompletionPtr> all = Everything(state, found->second.device);
  state.pinned.erase(found);
  lock.unlock();
  WaitForAll(all);
  std::free(address);
  return kCuSuccess;
}

FUNCTION(cuMemHostRegister_v2, void* address, size_t bytes, uint32_t) {
  BEGIN_IN_CONTEXT(cuMemHostRegister_v2)
  if (address == nullptr || bytes == 0) {
    return kCuErrorInvalidValue;
  }
  const auto place = reinterpret_cast<uintptr_t>(address);
  const auto behind = state.registered.lower_bound(place);
  if (Around(state.registered, place) != nullptr ||
      (behind != state.registered.end() && behind->first - place < bytes)) {
    return kAlreadyRegistered;
  }
  if (bytes > PinnableBytes(state)) {
    return kCuErrorOutOfMemory;
  }
  state.registered[place] = {bytes, device};
  return kCuSuccess;
}

FUNCTION(cuMemHostUnregister, void* address) {
  BEGIN_IN_CONTEXT(cuMemHostUnregister)
  return state.registered.erase(reinterpret_cast<uintptr_t>(address)) == 1 ? kCuSuccess : kNotRegistered;
}

FUNCTION(cuMemHostGetDevicePointer_v2, CuDevicePtr* address, void* host, uint32_t) {
  BEGIN_IN_CONTEXT(cuMemHostGetDevicePointer_v2)
  *address = reinterpret_cast<CuDevicePtr>(host);
  return IsPinned(state, host, 1) ? kCuSuccess : kCuErrorInvalidValue;
}

FUNCTION(cuMemcpyHtoDAsync_v2, CuDevicePtr target, const void* source, size_t bytes, CuStream handle) {
  BEGIN_ON_STREAM(cuMemcpyHtoDAsync_v2, handle)
  CompletionPtr done;
  return ToDevice(&state, stream, target, source, bytes, &done);
}

FUNCTION(cuMemcpyDtoHAsync_v2, void* target, CuDevicePtr source, size_t bytes, CuStream handle) {
  BEGIN_ON_STREAM(cuMemcpyDtoHAsync_v2, handle)
  CompletionPtr done;
  bool pageable = false;
  const CuResult result = ToHost(&state, stream, target, source, bytes, &done, &pageable);
  lock.unlock();
  if (result == kCuSuccess && pageable) {
    done->Wait();
  }
  return result;
}

FUNCTION(cuMemcpyDtoDAsync_v2, CuDevicePtr target, CuDevicePtr source, size_t bytes, CuStream handle) {
  BEGIN_ON_STREAM(cuMemcpyDtoDAsync_v2, handle)
  return OnDevice(&state, stream, target, source, bytes);
}

FUNCTION(cuMemcpyAsync, CuDevicePtr target, CuDevicePtr source, size_t bytes, CuStream handle) {
  BEGIN_ON_STREAM(cuMemcpyAsync, handle)
  return OnDevice(&state, stream, target, source, bytes);
}

FUNCTION(cuMemcpyHtoD_v2, CuDevicePtr target, const void* source, size_t bytes) {
  BEGIN_ON_STREAM(cuMemcpyHtoD_v2, nullptr)
  CompletionPtr done;
  const CuResult result = ToDevice(&state, stream, target, source, bytes, &done);
  lock.unlock();
  if (result == kCuSuccess) {
    done->Wait();
  }
  return result;
}

FUNCTION(cuMemcpyDtoH_v2, void* target, CuDevicePtr source, size_t bytes) {
  BEGIN_ON_STREAM(cuMemcpyDtoH_v2, nullptr)
  CompletionPtr done;
  bool pageable = false;
  const CuResult result = ToHost(&state, stream, target, source, bytes, &done, &pageable);
  lock.unlock();
  if (result == kCuSuccess) {
    done->Wait();
  }
  return result;
}

FUNCTION(cuMemsetD8Async, CuDevicePtr target, uint8_t value, size_t bytes, CuStream handle) {
  BEGIN_ON_STREAM(cuMemsetD8Async, handle)
  if (!Fits(state, target, bytes)) {
    return kCuErrorInvalidValue;
  }
  Add(state, stream, [=] { std::memset(reinterpret_cast<void*>(target), value, bytes); });
  return kCuSuccess;
}

FUNCTION(cuStreamCreateWithPriority, CuStream* handle, uint32_t flags, int32_t priority) {
  BEGIN_IN_CONTEXT(cuStreamCreateWithPriority)
  auto made = std::make_shared<Stream>(device, (flags & kStreamNonBlocking) == 0, priority);
  *handle = reinterpret_cast<CuStream>(made.get());
  state.streams[*handle] = std::move(made);
  return kCuSuccess;
}

FUNCTION(cuStreamCreate, CuStream* handle, uint32_t flags) { return cuStreamCreateWithPriority(handle, flags, 0); }

// Returns at once; what the stream was given is done all the same.
FUNCTION(cuStreamDestroy_v2, CuStream handle) {
  BEGIN(cuStreamDestroy_v2)
  const auto found = state.streams.find(handle);
  if (found == state.streams.end()) {
    return kInvalidHandle;
  }
  found->second->Close();
  state.streams.erase(found);
  return kCuSuccess;
}

FUNCTION(cuStreamGetFlags, CuStream handle, uint32_t* flags) {
  BEGIN_ON_STREAM(cuStreamGetFlags, handle)
  *flags = stream->blocking() ? 0 : kStreamNonBlocking;
  return kCuSuccess;
}

FUNCTION(cuStreamGetPriority, CuStream handle, int32_t* priority) {
  BEGIN_ON_STREAM(cuStreamGetPriority, handle)
  *priority = stream->priority();
  return kCuSuccess;
}

FUNCTION(cuStreamQuery, CuStream handle) {
  BEGIN_ON_STREAM(cuStreamQuery, handle)
  return stream->last()->done() ? kCuSuccess : kCuErrorNotReady;
}

FUNCTION(cuStreamSynchronize, CuStream handle) {
  BEGIN_ON_STREAM(cuStreamSynchronize, handle)
  // behind what blocking streams do, where it is the default one
  const CompletionPtr done = Add(state, stream, [] {});
  lock.unlock();
  done->Wait();
  lock.lock();
  return CurrentDevice(state, &device);
}

FUNCTION(cuStreamWaitEvent, CuStream handle, CuEvent event_handle, uint32_t) {
  BEGIN_ON_STREAM(cuStreamWaitEvent, handle)
  FIND_EVENT(event_handle)
  if (event.recorded != nullptr) {
    Add(state, stream, [recorded = event.recorded] { recorded->Wait(); });
  }
  return kCuSuccess;
}

FUNCTION(cuStreamIsCapturing, CuStream handle, int32_t* capturing) {
  BEGIN_ON_STREAM(cuStreamIsCapturing, handle)
  *capturing = 0;
  return kCuSuccess;
}

FUNCTION(cuEventCreate, CuEvent* handle, uint32_t flags) {
  BEGIN_IN_CONTEXT(cuEventCreate)
  auto made = std::make_unique<Event>(Event{device, flags, nullptr});
  *handle = reinterpret_cast<CuEvent>(made.get());
  state.events[*handle] = std::move(made);
  return kCuSuccess;
}

FUNCTION(cuEventDestroy_v2, CuEvent handle) {
  BEGIN(cuEventDestroy_v2)
  return state.events.erase(handle) == 1 ? kCuSuccess : kInvalidHandle;
}

FUNCTION(cuEventRecord, CuEvent handle, CuStream stream_handle) {
  BEGIN_ON_STREAM(cuEventRecord, stream_handle)
  FIND_EVENT(handle)
  if (event.device != stream->device()) {
    return kInvalidHandle;
  }
  event.recorded = Add(state, stream, [] {});
  return kCuSuccess;
}

FUNCTION(cuEventQuery, CuEvent handle) {
  BEGIN(cuEventQuery)
  FIND_EVENT(handle)
  return event.recorded == nullptr || event.recorded->done() ? kCuSuccess : kCuErrorNotReady;
}

FUNCTION(cuEventSynchronize, CuEvent handle) {
  BEGIN(cuEventSynchronize)
  FIND_EVENT(handle)
  const CompletionPtr recorded = event.recorded;
  Device* device = state.devices[static_cast<size_t>(event.device)].get();
  lock.unlock();
  if (recorded != nullptr) {
    recorded->Wait();
  }
  lock.lock();
  return device->failed ? kLaunchFailed : kCuSuccess;
}

FUNCTION(cuEventElapsedTime, float* milliseconds, CuEvent first_handle, CuEvent second_handle) {
  BEGIN(cuEventElapsedTime)
  const auto first = state.events.find(first_handle);
  const auto second = state.events.find(second_handle);
  if (first == state.events.end() || second == state.events.end()) {
    return kInvalidHandle;
  }
  for (const Event* event : {first->second.get(), second->second.get()}) {
    if (event->recorded == nullptr || (event->flags & kCuEventDisableTiming) != 0) {
      return kInvalidHandle;
    }
    if (!event->recorded->done()) {
      return kCuErrorNotReady;
    }
  }
  *milliseconds =
      std::chrono::duration<float, std::milli>(second->second->recorded->time() - first->second->recorded->time())
          .count();
  return kCuSuccess;
}

// Everything that this project's library asks of a driver is here, with the arguments that it gives.
template <typename... Arguments>
using DriverSymbol = CuResult (*)(Arguments...);
#define CHECK_SYMBOL(name, symbol, ...) static_assert(std::is_same_v<decltype(&symbol), DriverSymbol<__VA_ARGS__>>);
DJL_LORA_CUDA_FUNCTIONS(CHECK_SYMBOL)
DJL_LORA_CUDA_OPTIONAL_FUNCTIONS(CHECK_SYMBOL)
#undef CHECK_SYMBOL

}  // namespace djl_lora::emulated
