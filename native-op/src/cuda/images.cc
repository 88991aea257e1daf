// SPDX-License-Identifier: Apache-2.0
#include "cuda/images.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "common/errors.h"

namespace djl_lora {

namespace {

// What a kernel may use without asking; more is a matter of each device.
constexpr uint32_t kSharedBytesOfEveryDevice = 48 * 1024;

// sm_90a and compute_80, read.
struct Target {
  bool ptx = false;
  int32_t number = 0;     // ten times major plus minor
  bool specific = false;  // with an "a" behind the number: for this number alone

  static Target Of(const char* text) {
    Target target;
    target.ptx = std::strncmp(text, "compute_", 8) == 0;
    char* end = nullptr;
    target.number = static_cast<int32_t>(std::strtol(text + (target.ptx ? 8 : 3), &end, 10));
    target.specific = *end == 'a';
    return target;
  }

  bool RunsOn(int32_t major, int32_t minor) const {
    const int32_t device = 10 * major + minor;
    if (specific) {
      return number == device;
    }
    return number <= device && (ptx || number / 10 == major);
  }

  // The better, the higher.
  int32_t Rank() const { return (ptx ? 0 : 100000) + 10 * number + (specific ? 1 : 0); }
};

// Loads an image into the current context. Returns what the driver said where it failed.
std::string LoadModule(const Driver& driver, const void* image, CuModule* module) {
  char log[4096] = {};
  int32_t options[] = {kCuJitErrorLog, kCuJitErrorLogBytes};
  void* values[] = {log, reinterpret_cast<void*>(sizeof(log) - 1)};
  const CuResult result = driver.cuModuleLoadDataEx.Try(module, image, 2, options, values);
  return result == kCuSuccess ? ""
                              : Format("%s%s%s", driver.ErrorText("cuModuleLoadDataEx", result).c_str(),
                                       log[0] == '\0' ? "" : ": ", log);
}

// image: for messages.
std::unique_ptr<const Kernel> FindKernel(const Driver& driver, CuModule module, const std::string& name,
                                         const DeviceInfo* device, const std::string& image) {
  CuFunction function = nullptr;
  const CuResult result = driver.cuModuleGetFunction.Try(&function, module, name.c_str());
  if (result != kCuSuccess) {
    throw EngineError(Format("kernel %s of %s: %s", name.c_str(), image.c_str(),
                             driver.ErrorText("cuModuleGetFunction", result).c_str()));
  }
  int32_t shared_bytes = 0;
  driver.cuFuncGetAttribute(&shared_bytes, kCuFunctionStaticSharedBytes, function);
  return std::make_unique<const Kernel>(name, function, device, shared_bytes);
}

CuContext CurrentContext(const Driver& driver) {
  CuContext context = nullptr;
  driver.cuCtxGetCurrent(&context);
  if (context == nullptr) {
    throw EngineError("no CUDA context is current in this thread");
  }
  return context;
}

}  // namespace

std::vector<const Image*> SuitableImages(const ImageTable& table, const std::string& module, int32_t major,
                                         int32_t minor) {
  std::vector<const Image*> suitable;
  for (size_t i = 0; i < table.count; ++i) {
    const Image& image = table.images[i];
    if (module == image.module && Target::Of(image.target).RunsOn(major, minor)) {
      suitable.push_back(&image);
    }
  }
  std::stable_sort(suitable.begin(), suitable.end(), [](const Image* a, const Image* b) {
    return Target::Of(a->target).Rank() > Target::Of(b->target).Rank();
  });
  return suitable;
}

Kernel::Kernel(std::string name, CuFunction function, const DeviceInfo* device, int32_t static_shared_bytes)
    : name_(std::move(name)),
      function_(function),
      device_(device),
      static_shared_bytes_(static_shared_bytes),
      allowed_shared_bytes_(kSharedBytesOfEveryDevice -
                            std::min(kSharedBytesOfEveryDevice, static_cast<uint32_t>(static_shared_bytes))) {}

void Kernel::AllowSharedBytes(const Driver& driver, uint32_t bytes) const {
  if (bytes <= allowed_shared_bytes_.load(std::memory_order_acquire)) {
    return;
  }
  const int64_t most = static_cast<int64_t>(device_->shared_bytes) - static_shared_bytes_;
  if (bytes > most) {
    throw EngineError(Format("kernel %s needs %u bytes of shared memory, but %s has %lld left for a block",
                             name_.c_str(), bytes, device_->name.c_str(), static_cast<long long>(most)));
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  if (bytes > allowed_shared_bytes_.load(std::memory_order_relaxed)) {
    driver.cuFuncSetAttribute(function_, kCuFunctionDynamicSharedBytes, static_cast<int32_t>(bytes));
    allowed_shared_bytes_.store(bytes, std::memory_order_release);
  }
}

void Kernel::AllowLargeClusters(const Driver& driver) const {
  if (large_clusters_.load(std::memory_order_acquire)) {
    return;
  }
  driver.cuFuncSetAttribute(function_, kCuFunctionLargeClusters, 1);
  large_clusters_.store(true, std::memory_order_release);
}

KernelCache::~KernelCache() {
  for (const auto& [key, loaded] : modules_) {
    CuContext before = nullptr;
    driver_.cuCtxGetCurrent.Try(&before);
    driver_.cuCtxSetCurrent.Try(key.first);
    driver_.cuModuleUnload.Try(loaded.module);
    driver_.cuCtxSetCurrent.Try(before);
  }
}

const Kernel& KernelCache::Find(const std::string& module, const std::string& kernel) {
  CuContext context = CurrentContext(driver_);
  const std::lock_guard<std::mutex> lock(mutex_);
  Loaded& loaded = Load(context, module);
  std::unique_ptr<const Kernel>& found = loaded.kernels[kernel];
  if (found == nullptr) {
    found = FindKernel(driver_, loaded.module, kernel, &CurrentDevice(),
                       Format("the image %s for %s", module.c_str(), loaded.target));
  }
  return *found;
}

std::string KernelCache::LoadedTarget(const std::string& module) {
  CuContext context = CurrentContext(driver_);
  const std::lock_guard<std::mutex> lock(mutex_);
  return Load(context, module).target;
}

KernelCache::Loaded& KernelCache::Load(CuContext context, const std::string& name) {
  const auto at = modules_.find({context, name});
  if (at != modules_.end()) {
    return at->second;
  }
  const DeviceInfo& device = CurrentDevice();
  Loaded loaded;
  const std::string failure = LoadAny(device, name, &loaded);
  if (!failure.empty()) {
    const auto offered = offered_.find({device.device, name});
    if (offered == offered_.end()) {
      throw EngineError(failure);
    }
    const std::string own = LoadModule(driver_, offered->second.data(), &loaded.module);
    if (!own.empty()) {
      throw EngineError(Format("%s; neither does the one compiled at run time: %s", failure.c_str(), own.c_str()));
    }
    loaded.target = "this device, compiled at run time";
  }
  return modules_.emplace(std::make_pair(context, name), std::move(loaded)).first->second;
}

std::string KernelCache::LoadAny(const DeviceInfo& device, const std::string& name, Loaded* loaded) const {
  const std::vector<const Image*> images = SuitableImages(table_, name, device.major, device.minor);
  if (images.empty()) {
    return Format("no image of the CUDA kernels %s suits %s of compute capability %d.%d", name.c_str(),
                  device.name.c_str(), static_cast<int>(device.major), static_cast<int>(device.minor));
  }
  std::string failures;
  for (const Image* image : images) {
    const std::string failure = LoadModule(driver_, image->begin, &loaded->module);
    if (failure.empty()) {
      loaded->target = image->target;
      return "";
    }
    failures += Format("%s%s: %s", failures.empty() ? "" : "; ", image->target, failure.c_str());
  }
  std::string advice;
  if (driver_.version() < table_.toolkit) {
    advice = Format("; the driver serves CUDA %s, and the kernels were compiled by CUDA %s: update the driver",
                    CudaVersionText(driver_.version()).c_str(), CudaVersionText(table_.toolkit).c_str());
  }
  return Format("no image of the CUDA kernels %s loads on %s of compute capability %d.%d (%s)%s", name.c_str(),
                device.name.c_str(), static_cast<int>(device.major), static_cast<int>(device.minor), failures.c_str(),
                advice.c_str());
}

void KernelCache::Offer(const DeviceInfo& device, const std::string& module, std::vector<char> image) {
  const std::lock_guard<std::mutex> lock(mutex_);
  offered_.emplace(std::make_pair(device.device, module), std::move(image));
}

const DeviceInfo& KernelCache::CurrentDevice() const {
  CuDevice device = 0;
  driver_.cuCtxGetDevice(&device);
  for (const DeviceInfo& info : driver_.devices()) {
    if (info.device == device) {
      return info;
    }
  }
  throw EngineError(
      Format("the current CUDA context is of device %d, which the driver did not list", static_cast<int>(device)));
}

LoadedImage::LoadedImage(const Driver& driver, const DeviceInfo& device, const void* image)
    : driver_(driver), device_(device), context_(CurrentContext(driver)) {
  const std::string failure = LoadModule(driver, image, &module_);
  if (!failure.empty()) {
    throw EngineError(Format("the image does not load on %s of compute capability %d.%d: %s", device.name.c_str(),
                             static_cast<int>(device.major), static_cast<int>(device.minor), failure.c_str()));
  }
}

LoadedImage::~LoadedImage() {
  CuContext before = nullptr;
  driver_.cuCtxGetCurrent.Try(&before);
  driver_.cuCtxSetCurrent.Try(context_);
  // What may still be running is not taken away; a context that has failed goes with the process.
  if (driver_.cuCtxSynchronize.Try() == kCuSuccess) {
    driver_.cuModuleUnload.Try(module_);
  }
  driver_.cuCtxSetCurrent.Try(before);
}

const Kernel& LoadedImage::Find(const std::string& kernel) {
  std::unique_ptr<const Kernel>& found = kernels_[kernel];
  if (found == nullptr) {
    found = FindKernel(driver_, module_, kernel, &device_, "the image");
  }
  return *found;
}

KernelCache& ProcessKernels() {
  // Kept until the process ends: the driver may be gone before static objects are.
  static KernelCache* const kernels = new KernelCache(RequireDriver(), EmbeddedImages());
  return *kernels;
}

}  // namespace djl_lora
