// SPDX-License-Identifier: Apache-2.0
#include "torch/tensor.h"

#include <atomic>
#include <cstring>

#include "common/errors.h"
#include "cpu/sgmv_cpu.h"

namespace djl_lora {

namespace {

std::atomic<int64_t> live_handles{0};

// libtorch's codes, asked for once.
struct TorchCodes {
  int32_t cpu = aoti_torch_device_type_cpu();
  int32_t cuda = aoti_torch_device_type_cuda();
  int32_t types[9] = {aoti_torch_dtype_float32(), aoti_torch_dtype_float16(), aoti_torch_dtype_bfloat16(),
                      aoti_torch_dtype_int64(),   aoti_torch_dtype_int32(),   aoti_torch_dtype_bool(),
                      aoti_torch_dtype_uint8(),   aoti_torch_dtype_int8(),    aoti_torch_dtype_float64()};
};

const TorchCodes& Codes() {
  static const TorchCodes kCodes;
  return kCodes;
}

}  // namespace

Tensor::~Tensor() {
  if (handle_ != nullptr) {
    Count(handle_, -1);
    aoti_torch_delete_tensor_object(handle_);
  }
}

int64_t Tensor::Live() { return live_handles.load(std::memory_order_relaxed); }

void Tensor::Count(AtenTensorHandle handle, int64_t change) {
  if (handle != nullptr) {
    live_handles.fetch_add(change, std::memory_order_relaxed);
  }
}

void CheckTorch(int32_t code, const char* function) {
  if (code != 0) {
    throw EngineError(Format("libtorch failed in %s; its own message is on the standard error stream", function));
  }
}

const char* ElementName(ElementType type) {
  static const char* const kNames[] = {"float32", "float16", "bfloat16", "int64",  "int32",
                                       "bool",    "uint8",   "int8",     "float64"};
  const int32_t code = static_cast<int32_t>(type);
  return code >= 0 && code < 9 ? kNames[code] : "another type";
}

std::string ShapeText(const int64_t* sizes, int64_t dim) {
  std::string text = "[";
  for (int64_t i = 0; i < dim; ++i) {
    text += Format(i == 0 ? "%lld" : ", %lld", static_cast<long long>(sizes[i]));
  }
  return text + "]";
}

ElementType FromTorchType(int32_t torch_type) {
  const TorchCodes& codes = Codes();
  for (int32_t i = 0; i < 9; ++i) {
    if (codes.types[i] == torch_type) {
      return static_cast<ElementType>(i);
    }
  }
  return ElementType::kOther;
}

int32_t ToTorchType(ElementType type) {
  const int32_t code = static_cast<int32_t>(type);
  if (code < 0 || code >= 9) {
    Refuse("element type %d is not one of 0 (float32) to 8 (float64)", code);
  }
  return Codes().types[code];
}

std::string TensorInfo::Text() const { return std::string(ElementName(type)) + " " + ShapeText(sizes, dim); }

bool TensorInfo::Contiguous() const {
  int64_t expected = 1;
  for (int64_t i = dim - 1; i >= 0; --i) {
    if (sizes[i] == 0) {
      return true;
    }
  }
  for (int64_t i = dim - 1; i >= 0; --i) {
    if (sizes[i] != 1 && strides[i] != expected) {
      return false;
    }
    expected *= sizes[i];
  }
  return true;
}

std::pair<uintptr_t, uintptr_t> TensorInfo::Span() const {
  const uintptr_t begin = reinterpret_cast<uintptr_t>(data);
  if (numel == 0) {
    return {begin, begin};
  }
  int64_t last = 0;
  for (int64_t i = 0; i < dim; ++i) {
    last += (sizes[i] - 1) * strides[i];
  }
  return {begin, begin + static_cast<uintptr_t>((last + 1) * ElementSize(type))};
}

TensorInfo Describe(const char* operation, const char* name, AtenTensorHandle handle, const TensorPlace& place) {
  if (handle == nullptr) {
    Refuse("%s: %s is missing (its handle is 0)", operation, name);
  }
  TensorInfo info;
  info.handle = handle;
  info.name = name;
  int32_t device = 0;
  CheckTorch(aoti_torch_get_device_type(handle, &device), "aoti_torch_get_device_type");
  if (!place.cuda && device != Codes().cpu) {
    Refuse("%s: %s is on device type %d, but only tensors on the CPU are allowed here", operation, name, device);
  }
  if (place.cuda) {
    int32_t index = -1;
    if (device == Codes().cuda) {
      CheckTorch(aoti_torch_get_device_index(handle, &index), "aoti_torch_get_device_index");
    }
    if (index != place.device) {
      const std::string found = device == Codes().cuda  ? Format("CUDA device %d", index)
                                : device == Codes().cpu ? std::string("the CPU")
                                                        : Format("device type %d", device);
      Refuse("%s: %s is on %s, but it must be on CUDA device %d", operation, name, found.c_str(), place.device);
    }
  }
  int32_t type = 0;
  CheckTorch(aoti_torch_get_dtype(handle, &type), "aoti_torch_get_dtype");
  info.type = FromTorchType(type);
  int64_t* sizes = nullptr;
  int64_t* strides = nullptr;
  CheckTorch(aoti_torch_get_dim(handle, &info.dim), "aoti_torch_get_dim");
  CheckTorch(aoti_torch_get_numel(handle, &info.numel), "aoti_torch_get_numel");
  CheckTorch(aoti_torch_get_sizes(handle, &sizes), "aoti_torch_get_sizes");
  CheckTorch(aoti_torch_get_strides(handle, &strides), "aoti_torch_get_strides");
  CheckTorch(aoti_torch_get_data_ptr(handle, &info.data), "aoti_torch_get_data_ptr");
  info.sizes = sizes;
  info.strides = strides;
  return info;
}

TensorInfo DescribeFlat(const char* operation, const char* name, AtenTensorHandle handle, ElementType type,
                        const TensorPlace& place) {
  const TensorInfo info = Describe(operation, name, handle, place);
  RequireType(operation, info, type);
  RequireDim(operation, info, 1);
  RequireContiguous(operation, info);
  return info;
}

TensorPlace PlaceOf(AtenTensorHandle handle) {
  int32_t device = Codes().cpu;
  int32_t index = 0;
  if (handle != nullptr) {
    CheckTorch(aoti_torch_get_device_type(handle, &device), "aoti_torch_get_device_type");
  }
  if (device != Codes().cuda) {
    return kOnCpu;
  }
  CheckTorch(aoti_torch_get_device_index(handle, &index), "aoti_torch_get_device_index");
  return {true, index};
}

void RequireType(const char* operation, const TensorInfo& tensor, ElementType type) {
  if (tensor.type != type) {
    Refuse("%s: %s is %s, but its type must be %s", operation, tensor.name, tensor.Text().c_str(), ElementName(type));
  }
}

void RequireKernelType(const char* operation, const TensorInfo& tensor) {
  if (!IsKernelType(tensor.type)) {
    Refuse("%s: %s is %s, but its type must be float32, float16 or bfloat16", operation, tensor.name,
           tensor.Text().c_str());
  }
}

void RequireDeviceType(const char* operation, const TensorInfo& tensor) {
  if (tensor.type != ElementType::kFloat16 && tensor.type != ElementType::kBFloat16) {
    Refuse("%s: %s is %s, but kernels on a device take float16 or bfloat16", operation, tensor.name,
           tensor.Text().c_str());
  }
}

void RequireDim(const char* operation, const TensorInfo& tensor, int64_t dim) {
  if (tensor.dim != dim) {
    Refuse("%s: %s is %s, but it must have %d dimension%s", operation, tensor.name, tensor.Text().c_str(),
           static_cast<int>(dim), dim == 1 ? "" : "s");
  }
}

void RequireContiguous(const char* operation, const TensorInfo& tensor) {
  if (!tensor.Contiguous()) {
    Refuse("%s: %s is %s with strides %s, but it must be contiguous", operation, tensor.name, tensor.Text().c_str(),
           ShapeText(tensor.strides, tensor.dim).c_str());
  }
}

void RequireDenseLast(const char* operation, const TensorInfo& tensor) {
  bool dense = tensor.dim > 0 && (tensor.sizes[tensor.dim - 1] <= 1 || tensor.strides[tensor.dim - 1] == 1);
  for (int64_t i = 0; i < tensor.dim; ++i) {
    dense = dense && tensor.strides[i] >= 0;
  }
  if (!dense && tensor.numel > 0) {
    Refuse("%s: %s is %s with strides %s, but its last dimension must be contiguous", operation, tensor.name,
           tensor.Text().c_str(), ShapeText(tensor.strides, tensor.dim).c_str());
  }
}

void RequireSeparate(const char* operation, const TensorInfo& written, const TensorInfo& read) {
  const auto a = written.Span();
  const auto b = read.Span();
  if (a.first < b.second && b.first < a.second) {
    Refuse("%s: %s %s shares memory with %s %s, which would be overwritten while it is read", operation, written.name,
           written.Text().c_str(), read.name, read.Text().c_str());
  }
}

std::vector<int64_t> ContiguousStrides(const std::vector<int64_t>& sizes) {
  std::vector<int64_t> strides(sizes.size());
  int64_t stride = 1;
  for (size_t i = sizes.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= sizes[i] > 0 ? sizes[i] : 1;
  }
  return strides;
}

Tensor Share(AtenTensorHandle handle) {
  AtenTensorHandle copy = nullptr;
  CheckTorch(aoti_torch_new_tensor_handle(handle, &copy), "aoti_torch_new_tensor_handle");
  return Tensor(copy);
}

Tensor Empty(const std::vector<int64_t>& sizes, ElementType type, const TensorPlace& place) {
  const std::vector<int64_t> strides = ContiguousStrides(sizes);
  AtenTensorHandle result = nullptr;
  if (aoti_torch_empty_strided(static_cast<int64_t>(sizes.size()), sizes.data(), strides.data(), ToTorchType(type),
                               place.cuda ? Codes().cuda : Codes().cpu, place.device, &result) != 0) {
    throw EngineError(Format("libtorch could not allocate a tensor of %s %s%s", ElementName(type),
                             ShapeText(sizes.data(), static_cast<int64_t>(sizes.size())).c_str(),
                             place.cuda ? Format(" on CUDA device %d", place.device).c_str() : ""));
  }
  return Tensor(result);
}

Tensor Wrap(void* data, const std::vector<int64_t>& sizes, ElementType type) {
  const std::vector<int64_t> strides = ContiguousStrides(sizes);
  AtenTensorHandle result = nullptr;
  CheckTorch(aoti_torch_create_tensor_from_blob(data, static_cast<int64_t>(sizes.size()), sizes.data(), strides.data(),
                                                0, ToTorchType(type), Codes().cpu, 0, &result),
             "aoti_torch_create_tensor_from_blob");
  return Tensor(result);
}

Tensor View(const TensorInfo& tensor, const std::vector<int64_t>& sizes, const std::vector<int64_t>& strides,
            int64_t offset) {
  AtenTensorHandle result = nullptr;
  CheckTorch(aoti_torch__reinterpret_tensor(tensor.handle, static_cast<int64_t>(sizes.size()), sizes.data(),
                                            strides.data(), offset, &result),
             "aoti_torch__reinterpret_tensor");
  return Tensor(result);
}

Tensor ContiguousCopy(AtenTensorHandle source, const std::vector<int64_t>& sizes, ElementType type,
                      const TensorPlace& place) {
  Tensor result = Empty(sizes, type, place);
  CheckTorch(aoti_torch_copy_(result.get(), source, 0), "aten::copy_");
  return result;
}

Argument Argument::Double(double value) {
  Argument argument{Kind::kDouble, 0};
  std::memcpy(&argument.bits, &value, sizeof(value));
  return argument;
}

Argument Argument::OptionalDouble(double value) {
  Argument argument = Double(value);
  argument.kind = Kind::kOptionalDouble;
  return argument;
}

StableValue CallOperator(const char* name, const char* overload, std::initializer_list<Argument> arguments) {
  constexpr size_t kMost = 24;
  StableValue stack[kMost] = {};
  if (arguments.size() > kMost) {
    throw EngineError(Format("%s: more than %d arguments", name, static_cast<int>(kMost)));
  }
  // All that can fail is made first; from then on the stack owns it until the call takes it over.
  std::vector<Tensor> handles;
  handles.reserve(arguments.size());
  size_t next = 0;
  StableValue* boxes[kMost] = {};
  for (const Argument& argument : arguments) {
    const bool tensor = argument.kind == Argument::Kind::kTensor || argument.kind == Argument::Kind::kOptionalTensor;
    handles.push_back(tensor && argument.bits != 0 ? Share(reinterpret_cast<AtenTensorHandle>(argument.bits))
                                                   : Tensor());
  }
  for (const Argument& argument : arguments) {
    stack[next] = argument.bits;
    if (handles[next].get() != nullptr) {
      stack[next] = reinterpret_cast<StableValue>(handles[next].release());
    }
    if (argument.kind == Argument::Kind::kOptionalDouble ||
        (argument.kind == Argument::Kind::kOptionalTensor && argument.bits != 0)) {
      boxes[next] = new StableValue(stack[next]);
      stack[next] = reinterpret_cast<StableValue>(boxes[next]);
    }
    ++next;
  }
  LastError& error = ThreadLastError();
  error.kind = ErrorKind::kNone;
  if (aoti_torch_call_dispatcher(name, overload, stack) != 0) {
    if (error.kind == ErrorKind::kArgument) {
      throw ArgumentError(error.message);
    }
    if (error.kind == ErrorKind::kEngine) {
      throw EngineError(error.message);
    }
    std::string text;
    for (const Argument& argument : arguments) {
      if (argument.kind == Argument::Kind::kTensor) {
        text += text.empty() ? " called with " : ", ";
        text += Describe(name, "an argument", reinterpret_cast<AtenTensorHandle>(argument.bits)).Text();
      }
    }
    throw EngineError(
        Format("libtorch failed in %s%s; its own message is on the standard error stream", name, text.c_str()));
  }
  return stack[0];
}

Tensor CallForTensor(const char* name, const char* overload, std::initializer_list<Argument> arguments) {
  return Tensor(reinterpret_cast<AtenTensorHandle>(CallOperator(name, overload, arguments)));
}

}  // namespace djl_lora
