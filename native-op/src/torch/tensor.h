// SPDX-License-Identifier: Apache-2.0
//
// libtorch's tensors as this library sees them: an owner of a handle, a checked description, and calls by name.
#ifndef DJL_LORA_TORCH_TENSOR_H_
#define DJL_LORA_TORCH_TENSOR_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "cpu/element.h"
#include "torch/stable_c.h"

namespace djl_lora {

// Owns one tensor handle.
class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(AtenTensorHandle handle) : handle_(handle) { Count(handle_, 1); }
  Tensor(Tensor&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Tensor& operator=(Tensor&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  Tensor(const Tensor&) = delete;
  Tensor& operator=(const Tensor&) = delete;
  ~Tensor();

  AtenTensorHandle get() const { return handle_; }
  AtenTensorHandle release() {
    Count(handle_, -1);
    return std::exchange(handle_, nullptr);
  }

  // How many handles this library owns at this moment, over all threads: those of running calls.
  static int64_t Live();

 private:
  static void Count(AtenTensorHandle handle, int64_t change);

  AtenTensorHandle handle_ = nullptr;
};

// What a tensor is; sizes and strides are borrowed from it.
struct TensorInfo {
  AtenTensorHandle handle = nullptr;
  const char* name = nullptr;  // of the argument, for messages
  ElementType type = ElementType::kOther;
  int64_t dim = 0;
  int64_t numel = 0;
  const int64_t* sizes = nullptr;
  const int64_t* strides = nullptr;
  void* data = nullptr;

  // For example "bfloat16 [3, 8]".
  std::string Text() const;
  bool Contiguous() const;
  // The bytes that the elements span, as addresses; equal when there are none. Strides must not be negative.
  std::pair<uintptr_t, uintptr_t> Span() const;
  template <typename T>
  T* As() const {
    return static_cast<T*>(data);
  }
};

// Where a tensor lies.
struct TensorPlace {
  bool cuda = false;
  int32_t device = 0;  // of CUDA's
};
inline constexpr TensorPlace kOnCpu{};

// Describes an argument of an operator. Refuses a null handle and a tensor that lies somewhere else; `operation` and
// `name` appear in the messages.
TensorInfo Describe(const char* operation, const char* name, AtenTensorHandle handle,
                    const TensorPlace& place = kOnCpu);

// The same, and refuses one that is not of that type, 1-D and contiguous.
TensorInfo DescribeFlat(const char* operation, const char* name, AtenTensorHandle handle, ElementType type,
                        const TensorPlace& place = kOnCpu);

// Where a tensor lies: on one of CUDA's devices or, for this purpose, elsewhere, which Describe then refuses unless it
// is the CPU. A null handle lies on the CPU.
TensorPlace PlaceOf(AtenTensorHandle handle);

// Refuse a tensor that is not as the name of the function says.
void RequireType(const char* operation, const TensorInfo& tensor, ElementType type);
void RequireKernelType(const char* operation, const TensorInfo& tensor);
// Kernels on a device: float16 or bfloat16.
void RequireDeviceType(const char* operation, const TensorInfo& tensor);
void RequireDim(const char* operation, const TensorInfo& tensor, int64_t dim);
void RequireContiguous(const char* operation, const TensorInfo& tensor);
// The last dimension has no gaps and no other dimension runs backwards.
void RequireDenseLast(const char* operation, const TensorInfo& tensor);
void RequireSeparate(const char* operation, const TensorInfo& written, const TensorInfo& read);

const char* ElementName(ElementType type);
std::string ShapeText(const int64_t* sizes, int64_t dim);
ElementType FromTorchType(int32_t torch_type);
int32_t ToTorchType(ElementType type);

// Strides of a contiguous tensor.
std::vector<int64_t> ContiguousStrides(const std::vector<int64_t>& sizes);

Tensor Share(AtenTensorHandle handle);
Tensor Empty(const std::vector<int64_t>& sizes, ElementType type, const TensorPlace& place = kOnCpu);
// A tensor over memory that somebody else keeps.
Tensor Wrap(void* data, const std::vector<int64_t>& sizes, ElementType type);
// A view; `offset` counts elements from the tensor's own first element.
Tensor View(const TensorInfo& tensor, const std::vector<int64_t>& sizes, const std::vector<int64_t>& strides,
            int64_t offset);
// Where the source lies or elsewhere.
Tensor ContiguousCopy(AtenTensorHandle source, const std::vector<int64_t>& sizes, ElementType type,
                      const TensorPlace& place = kOnCpu);

// One argument of a call by name. Borrows tensors; the call passes handles of its own.
struct Argument {
  enum class Kind { kTensor, kOptionalTensor, kInt, kDouble, kOptionalDouble, kBool };
  static Argument Of(AtenTensorHandle tensor) { return {Kind::kTensor, reinterpret_cast<uint64_t>(tensor)}; }
  static Argument Optional(AtenTensorHandle tensor) {
    return {Kind::kOptionalTensor, reinterpret_cast<uint64_t>(tensor)};
  }
  static Argument Int(int64_t value) { return {Kind::kInt, static_cast<uint64_t>(value)}; }
  static Argument Double(double value);
  static Argument OptionalDouble(double value);
  static Argument Bool(bool value) { return {Kind::kBool, value ? 1u : 0u}; }

  Kind kind;
  uint64_t bits;
};

// Calls an operator; returns the slot of its first result, if it has one. When the operator is one of this library's
// and refused, throws what it said; otherwise throws EngineError with the name of what was called.
StableValue CallOperator(const char* name, const char* overload, std::initializer_list<Argument> arguments);
Tensor CallForTensor(const char* name, const char* overload, std::initializer_list<Argument> arguments);

// Throws EngineError when a function of the C interface failed.
void CheckTorch(int32_t code, const char* function);

}  // namespace djl_lora

#endif  // DJL_LORA_TORCH_TENSOR_H_
