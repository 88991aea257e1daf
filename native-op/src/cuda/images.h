// SPDX-License-Identifier: Apache-2.0
//
// The compiled kernels that this library carries: which image suits a device, and loading it into a context.
#ifndef DJL_LORA_CUDA_IMAGES_H_
#define DJL_LORA_CUDA_IMAGES_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "cuda/driver.h"

namespace djl_lora {

// One file of kernels compiled for one target. A zero lies behind the bytes, which ends PTX.
struct Image {
  const char* module;  // the file's name without its ending
  const char* target;  // sm_80 and such for a cubin, compute_80 for PTX
  const unsigned char* begin;
  const unsigned char* end;

  size_t size() const { return static_cast<size_t>(end - begin); }
};

struct ImageTable {
  const Image* images;
  size_t count;
  int32_t toolkit;  // the version of CUDA that compiled them, as Driver::version counts
};

// What the build put into this library; none where it found no nvcc. Written by cuda.cmake.
const ImageTable& EmbeddedImages();

// The images of a module that a device of the given compute capability may run, the best first: a cubin for just this
// device (sm_90a runs on 9.0 alone), cubins for the same major and a lower minor version, then PTX, which the driver
// compiles. Empty when there is none.
std::vector<const Image*> SuitableImages(const ImageTable& table, const std::string& module, int32_t major,
                                         int32_t minor);

// A kernel in one context.
class Kernel {
 public:
  Kernel(std::string name, CuFunction function, const DeviceInfo* device, int32_t static_shared_bytes);

  const std::string& name() const { return name_; }
  CuFunction function() const { return function_; }
  const DeviceInfo& device() const { return *device_; }
  // Lets the kernel be launched with that much dynamic shared memory. Throws EngineError when the device has less.
  void AllowSharedBytes(const Driver& driver, uint32_t bytes) const;
  // Lets the kernel be launched in clusters of more than 8 blocks.
  void AllowLargeClusters(const Driver& driver) const;

 private:
  std::string name_;
  CuFunction function_;
  const DeviceInfo* device_;
  int32_t static_shared_bytes_;
  mutable std::mutex mutex_;
  mutable std::atomic<uint32_t> allowed_shared_bytes_;
  mutable std::atomic<bool> large_clusters_{false};
};

// The kernels of a driver's contexts. Loading a module allocates and may take seconds where PTX is compiled, so callers
// look their kernels up before the first step, and keep them. May be used by any number of threads.
class KernelCache {
 public:
  // Both are kept for as long as this object lives.
  KernelCache(const Driver& driver, const ImageTable& table) : driver_(driver), table_(table) {}
  KernelCache(const KernelCache&) = delete;
  KernelCache& operator=(const KernelCache&) = delete;
  ~KernelCache();

  // A kernel for the calling thread's current context, valid as long as this object and the context are. Throws
  // EngineError when no image suits the device or none loads, and when the module has no such kernel.
  const Kernel& Find(const std::string& module, const std::string& kernel);
  // The target of the image that the current context uses of a module, which is loaded if it was not.
  std::string LoadedTarget(const std::string& module);
  // Keeps an image of a module, machine code or PTX with a zero behind it, for a device on which none of the table
  // loads. One that was offered before stays.
  void Offer(const DeviceInfo& device, const std::string& module, std::vector<char> image);

 private:
  struct Loaded {
    CuModule module = nullptr;
    const char* target = nullptr;
    std::map<std::string, std::unique_ptr<const Kernel>> kernels;
  };

  Loaded& Load(CuContext context, const std::string& name);
  // Why no image loads, empty where one did.
  std::string LoadAny(const DeviceInfo& device, const std::string& name, Loaded* loaded) const;
  const DeviceInfo& CurrentDevice() const;

  const Driver& driver_;
  const ImageTable& table_;
  std::mutex mutex_;
  std::map<std::pair<CuContext, std::string>, Loaded> modules_;
  std::map<std::pair<CuDevice, std::string>, std::vector<char>> offered_;
};

// An image that this library does not carry, loaded into the calling thread's current context, and unloaded with this
// object once the device has ended all that it was given. That takes the context, not that it is current.
class LoadedImage {
 public:
  // image: machine code, or PTX with a zero behind it, not needed afterwards. Throws EngineError, with the driver's
  // words, where it does not load.
  LoadedImage(const Driver& driver, const DeviceInfo& device, const void* image);
  LoadedImage(const LoadedImage&) = delete;
  LoadedImage& operator=(const LoadedImage&) = delete;
  ~LoadedImage();

  // A kernel, valid as long as this object. Throws EngineError where the image has none of that name. For one thread.
  const Kernel& Find(const std::string& kernel);

 private:
  const Driver& driver_;
  const DeviceInfo& device_;
  CuContext context_ = nullptr;
  CuModule module_ = nullptr;
  std::map<std::string, std::unique_ptr<const Kernel>> kernels_;
};

// The kernels of the process's driver. Throws EngineError where there is no driver.
KernelCache& ProcessKernels();

}  // namespace djl_lora

#endif  // DJL_LORA_CUDA_IMAGES_H_
