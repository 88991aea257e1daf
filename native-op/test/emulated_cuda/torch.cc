// SPDX-License-Identifier: Apache-2.0
//
// CUDA for a CPU build of libtorch, on a machine without a GPU: tensors of the device "cuda" whose memory is the
// host's. Loaded behind libtorch and the emulated driver (driver.cc), it lets everything run that a GPU does but the
// GPU's own speed and libtorch's own kernels: this project's kernels run in the driver's streams, and libtorch's
// operators run at once on the CPU, when the driver's default stream has come to its end.
//
// What is done for PyTorch's devices of others (its documentation calls them PrivateUse1) is done for CUDA here: a
// device guard, an allocator, the operators that look at memory, and the CPU's operators for all else.
#include <ATen/EmptyTensor.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/view_native.h>
#include <c10/core/Allocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <dlfcn.h>
#include <torch/library.h>

#include <cstdlib>

namespace {

constexpr c10::DeviceType kCuda = c10::DeviceType::CUDA;
constexpr c10::DeviceIndex kDevices = 1;
thread_local c10::DeviceIndex current = 0;

struct EmulatedGuard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return kCuda; }
  c10::Device exchangeDevice(c10::Device device) const override {
    const c10::Device before = getDevice();
    setDevice(device);
    return before;
  }
  c10::Device getDevice() const override { return {kCuda, current}; }
  void setDevice(c10::Device device) const override {
    TORCH_CHECK(device.index() < kDevices, "there is no emulated CUDA device ", static_cast<int>(device.index()));
    current = device.index();
  }
  void uncheckedSetDevice(c10::Device device) const noexcept override { current = device.index(); }
  c10::Stream getStream(c10::Device device) const noexcept override {
    return c10::Stream(c10::Stream::DEFAULT, device);
  }
  c10::Stream getDefaultStream(c10::Device device) const override { return getStream(device); }
  c10::Stream exchangeStream(c10::Stream stream) const noexcept override { return getStream(stream.device()); }
  c10::DeviceIndex deviceCount() const noexcept override { return kDevices; }
};

C10_REGISTER_GUARD_IMPL(CUDA, EmulatedGuard)

// The emulated driver, if it was loaded.
class Driver {
 public:
  Driver() : library_(dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD)) {
    if (library_ == nullptr) {
      return;
    }
    Find("cuCtxPushCurrent_v2", &push_);
    Find("cuCtxPopCurrent_v2", &pop_);
    Find("cuStreamSynchronize", &synchronize_);
    int (*retain)(void**, int) = nullptr;
    Find("cuDevicePrimaryCtxRetain", &retain);
    Require(retain(&context_, 0));
  }

  // Waits for what was launched on the stream that aoti_torch_get_current_cuda_stream tells.
  void Synchronize() const {
    if (library_ == nullptr) {
      return;
    }
    void* before = nullptr;
    Require(push_(context_));
    Require(synchronize_(nullptr));
    Require(pop_(&before));
  }

 private:
  template <typename Function>
  void Find(const char* name, Function* function) const {
    *function = reinterpret_cast<Function>(dlsym(library_, name));
    Require(*function == nullptr ? -1 : 0);
  }
  // Called from where nothing may be thrown; tests are to end where this fails.
  static void Require(int result) {
    if (result != 0) {
      std::abort();
    }
  }

  void* library_;
  void* context_ = nullptr;
  int (*push_)(void*) = nullptr;
  int (*pop_)(void**) = nullptr;
  int (*synchronize_)(void*) = nullptr;
};

void WaitForKernels() {
  static const Driver driver;
  driver.Synchronize();
}

void Free(void* data) {
  WaitForKernels();
  std::free(data);
}

// Not from the driver, whose figures are the tests'.
struct EmulatedAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    constexpr size_t kAlignment = 512;  // of libtorch's own allocator for CUDA
    void* data =
        bytes == 0 ? nullptr : std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
    TORCH_CHECK(bytes == 0 || data != nullptr, "CUDA out of memory (emulated): ", bytes, " bytes");
    return {data, data, &Free, {kCuda, current}};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &Free; }
  void copy_data(void* to, const void* from, size_t bytes) const override { default_copy_data(to, from, bytes); }
};

EmulatedAllocator allocator;
const c10::DispatchKeySet kKeys(c10::DispatchKey::CUDA);

at::Tensor Empty(c10::IntArrayRef size, std::optional<at::ScalarType> type, std::optional<at::Layout>,
                 std::optional<at::Device>, std::optional<bool>, std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(size, &allocator, kKeys, c10::dtype_or_default(type), format);
}

at::Tensor EmptyStrided(c10::IntArrayRef size, c10::IntArrayRef stride, std::optional<at::ScalarType> type,
                        std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(size, stride, &allocator, kKeys, c10::dtype_or_default(type));
}

// The same memory as a tensor of the CPU.
at::Tensor OnHost(const at::Tensor& tensor) {
  if (tensor.device().is_cpu()) {
    return tensor;
  }
  WaitForKernels();
  return at::from_blob(tensor.data_ptr(), tensor.sizes(), tensor.strides(), tensor.options().device(at::kCPU));
}

at::Tensor& Copy(at::Tensor& self, const at::Tensor& source, bool) {
  OnHost(self).copy_(OnHost(source));
  return self;
}

at::Tensor CopyFrom(const at::Tensor& source, const at::Tensor& target, bool) {
  OnHost(target).copy_(OnHost(source));
  return target;
}

at::Tensor CopyFromAndResize(const at::Tensor& source, const at::Tensor& target) {
  TORCH_CHECK(source.sizes() == target.sizes(), "emulated CUDA tensors keep their size");
  return CopyFrom(source, target, false);
}

at::Scalar LocalScalar(const at::Tensor& self) { return OnHost(self).item(); }

at::Tensor& Fill(at::Tensor& self, const at::Scalar& value) {
  OnHost(self).fill_(value);
  return self;
}

at::Tensor& Zero(at::Tensor& self) {
  OnHost(self).zero_();
  return self;
}

void OnCpu(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  WaitForKernels();
  at::native::cpu_fallback(op, stack);
}

TORCH_LIBRARY_IMPL(aten, CUDA, library) {
  library.impl("empty.memory_format", &Empty);
  library.impl("empty_strided", &EmptyStrided);
  library.impl("as_strided", &at::native::as_strided_tensorimpl);
  library.impl("view", TORCH_FN(at::native::view));
  library.impl("_reshape_alias", TORCH_FN(at::native::_reshape_alias));
  library.impl("copy_", &Copy);
  library.impl("_copy_from", &CopyFrom);
  library.impl("_copy_from_and_resize", &CopyFromAndResize);
  library.impl("_local_scalar_dense", &LocalScalar);
  library.impl("fill_.Scalar", &Fill);
  library.impl("zero_", &Zero);
}

TORCH_LIBRARY_IMPL(_, CUDA, library) { library.fallback(torch::CppFunction::makeFromBoxedFunction<&OnCpu>()); }

}  // namespace

// What this project asks of libtorch's part for CUDA: the stream that it computes on.
extern "C" __attribute__((visibility("default"))) int32_t aoti_torch_get_current_cuda_stream(int32_t device,
                                                                                             void** stream) {
  if (device < 0 || device >= kDevices) {
    return 1;
  }
  *stream = nullptr;
  return 0;
}
