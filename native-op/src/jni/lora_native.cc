// SPDX-License-Identifier: Apache-2.0
//
// The native methods of ai.djl.lora.jni.LoraNative; their contracts are that class's Javadoc.
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "common/errors.h"
#include "cpu/aligned_buffer.h"
#include "cpu/features.h"
#include "cpu/isa.h"
#include "cpu/layers_cpu.h"
#include "cpu/read_all.h"
#include "jni/adapter_arguments.h"
#include "jni/jni_support.h"
#include "ops/attention.h"
#include "ops/layers.h"
#include "ops/linear.h"
#include "ops/register.h"
#include "ops/sgmv.h"
#include "ops/table.h"
#include "torch/tensor.h"

// The prototypes that javac wrote, so that a method whose arguments differ between the two sides does not compile.
#if defined(__has_include)
#if __has_include("ai_djl_lora_jni_LoraNative.h")
#include "ai_djl_lora_jni_LoraNative.h"
#endif
#endif

namespace djl_lora {

namespace {

long long Long(int64_t value) { return static_cast<long long>(value); }

TensorInfo Info(const char* operation, const char* name, jlong handle) {
  return Describe(operation, name, ToHandle(handle));
}

// An argument that may lie on any device.
TensorInfo InfoAnywhere(const char* operation, const char* name, jlong handle) {
  return Describe(operation, name, ToHandle(handle), PlaceOf(ToHandle(handle)));
}

// A place as Java names it: the number of a CUDA device, or -1 for the CPU.
TensorPlace PlaceArgument(const char* operation, jint device) {
  if (device < -1 || device > 1023) {
    Refuse("%s: device is %d, but it must be -1 for the CPU or the number of a CUDA device", operation,
           static_cast<int>(device));
  }
  return device < 0 ? kOnCpu : TensorPlace{true, device};
}

std::vector<int64_t> Sizes(const TensorInfo& tensor) { return {tensor.sizes, tensor.sizes + tensor.dim}; }

// Bytes [offset, offset + length) of a contiguous tensor.
char* ByteRange(const char* operation, const TensorInfo& tensor, int64_t offset, int64_t length) {
  RequireContiguous(operation, tensor);
  if (tensor.type == ElementType::kOther) {
    Refuse("%s: %s is of a type that is not supported here", operation, tensor.name);
  }
  const int64_t bytes = tensor.numel * ElementSize(tensor.type);
  if (offset < 0 || length < 0 || offset > bytes - length) {
    Refuse("%s: %lld bytes at offset %lld do not lie within %s %s of %lld bytes", operation, Long(length), Long(offset),
           tensor.name, tensor.Text().c_str(), Long(bytes));
  }
  return tensor.As<char>() + offset;
}

// Whether the bytes of a tensor can be read and written here.
bool OnHost(const TensorInfo& tensor) { return !PlaceOf(tensor.handle).cuda; }

// Copies between bytes [offset, offset + length) of a contiguous tensor on a device and the host's memory. Waits.
void CopyBytes(const char* operation, const TensorInfo& tensor, int64_t offset, int64_t length, void* host,
               bool to_host) {
  ByteRange(operation, tensor, offset, length);
  const int64_t size = ElementSize(tensor.type);
  if (offset % size != 0 || length % size != 0) {
    Refuse("%s: %lld bytes at offset %lld are not whole elements of %s %s", operation, Long(length), Long(offset),
           tensor.name, tensor.Text().c_str());
  }
  if (length == 0) {
    return;
  }
  const Tensor part = View(tensor, {length / size}, {1}, offset / size);
  const Tensor here = Wrap(host, {length / size}, tensor.type);
  const AtenTensorHandle target = to_host ? here.get() : part.get();
  CheckTorch(aoti_torch_copy_(target, to_host ? part.get() : here.get(), 0), "aten::copy_");
}

void CheckArrayRange(JNIEnv* env, const char* operation, const char* name, jbyteArray array, jint from, jint length) {
  if (array == nullptr) {
    Refuse("%s: %s is null", operation, name);
  }
  const jsize size = env->GetArrayLength(array);
  if (from < 0 || length < 0 || from > size - length) {
    Refuse("%s: %d bytes at index %d do not lie within %s of %d bytes", operation, static_cast<int>(length),
           static_cast<int>(from), name, static_cast<int>(size));
  }
}

// On the CPU or a CUDA device, where x lies.
Tensor Linear(jlong x_handle, jlong weight_handle, jlong bias_handle) {
  constexpr const char* kName = "linear";
  const TensorPlace place = PlaceOf(ToHandle(x_handle));
  const TensorInfo x = Describe(kName, "x", ToHandle(x_handle), place);
  const TensorInfo weight = Describe(kName, "weight", ToHandle(weight_handle), place);
  RequireKernelType(kName, x);
  RequireType(kName, weight, x.type);
  RequireDim(kName, weight, 2);
  if (x.dim < 1 || x.sizes[x.dim - 1] != weight.sizes[1]) {
    Refuse("%s: x is %s and weight is %s, but the last dimensions must be the same", kName, x.Text().c_str(),
           weight.Text().c_str());
  }
  if (bias_handle != 0) {
    const TensorInfo bias = Describe(kName, "bias", ToHandle(bias_handle), place);
    RequireType(kName, bias, x.type);
    if (bias.dim != 1 || bias.numel != weight.sizes[0]) {
      Refuse("%s: bias is %s, but weight %s takes [%lld]", kName, bias.Text().c_str(), weight.Text().c_str(),
             Long(weight.sizes[0]));
    }
  }
  if (!place.cuda && FewRows(x, weight)) {
    CheckLinear(kName, {x.handle, weight.handle, nullptr, ToHandle(bias_handle)});
    return CallForTensor(
        "djl_lora::linear_rows", "",
        {Argument::Of(x.handle), Argument::Of(weight.handle), Argument::Optional(ToHandle(bias_handle))});
  }
  return CallForTensor(
      "aten::linear", "",
      {Argument::Of(x.handle), Argument::Of(weight.handle), Argument::Optional(ToHandle(bias_handle))});
}

Tensor Embedding(jlong weight_handle, jlong ids_handle) {
  constexpr const char* kName = "embedding";
  const TensorPlace place = PlaceOf(ToHandle(weight_handle));
  const TensorInfo weight = InfoAnywhere(kName, "weight", weight_handle);
  const TensorInfo ids = Describe(kName, "ids", ToHandle(ids_handle), place);
  RequireKernelType(kName, weight);
  RequireDim(kName, weight, 2);
  RequireType(kName, ids, ElementType::kInt64);
  RequireContiguous(kName, ids);
  std::vector<int64_t> copy;
  const int64_t* values = ids.As<int64_t>();
  if (place.cuda) {
    // a bad row asserts on the device, after which nothing runs there any more
    copy.resize(static_cast<size_t>(ids.numel));
    CopyBytes(kName, ids, 0, ids.numel * int64_t{sizeof(int64_t)}, copy.data(), true);
    values = copy.data();
  }
  for (int64_t i = 0; i < ids.numel; ++i) {
    const int64_t id = values[i];
    if (id < 0 || id >= weight.sizes[0]) {
      Refuse("%s: id %lld at index %lld is not a row of weight %s", kName, Long(id), Long(i), weight.Text().c_str());
    }
  }
  return CallForTensor("aten::embedding", "",
                       {Argument::Of(weight.handle), Argument::Of(ids.handle), Argument::Int(-1), Argument::Bool(false),
                        Argument::Bool(false)});
}

void Rotary(jlong x_handle, jlong cos_handle, jlong sin_handle) {
  constexpr const char* kName = "rotary";
  const TensorInfo x = Info(kName, "x", x_handle);
  const TensorInfo cos = Info(kName, "cos", cos_handle);
  const TensorInfo sin = Info(kName, "sin", sin_handle);
  RequireKernelType(kName, x);
  RequireDim(kName, x, 3);
  RequireDenseLast(kName, x);
  if (x.sizes[2] % 2 != 0) {
    Refuse("%s: x is %s, but its last dimension must be even", kName, x.Text().c_str());
  }
  // Whichever of the two outer strides is the smaller, its rows must fit into the other's step, or rows would be turned
  // more than once.
  const bool tokens_inside = x.strides[0] < x.strides[1];
  const int64_t inner = tokens_inside ? 0 : 1;
  const bool separate =
      (x.sizes[inner] <= 1 || x.strides[inner] >= x.sizes[2]) &&
      (x.sizes[1 - inner] <= 1 || x.strides[1 - inner] >= (x.sizes[inner] - 1) * x.strides[inner] + x.sizes[2]);
  if (x.numel > 0 && !separate) {
    Refuse("%s: x is %s with strides %s, but its rows must not overlap", kName, x.Text().c_str(),
           ShapeText(x.strides, x.dim).c_str());
  }
  for (const TensorInfo* table : {&cos, &sin}) {
    RequireType(kName, *table, ElementType::kFloat32);
    RequireDim(kName, *table, 2);
    RequireDenseLast(kName, *table);
    if (table->sizes[0] != x.sizes[0] || table->sizes[1] != x.sizes[2] / 2) {
      Refuse("%s: %s is %s, but x %s takes [%lld, %lld]", kName, table->name, table->Text().c_str(), x.Text().c_str(),
             Long(x.sizes[0]), Long(x.sizes[2] / 2));
    }
    RequireSeparate(kName, x, *table);
  }
  if (x.numel > 0) {
    RotaryCpu({x.type, x.sizes[0], x.sizes[1], x.sizes[2] / 2, x.data, x.strides[0], x.strides[1], cos.As<float>(),
               cos.strides[0], sin.As<float>(), sin.strides[0]},
              omp_get_max_threads());
  }
}

// q [tokens, heads, dim] seen as [kv heads, group, tokens, dim]: heads that share keys become a batch of their own, so
// that keys and values are never copied for each query head. Keys and values have stride 0 over the group.
Tensor AttentionView(const TensorInfo& tensor, int64_t kv_heads, int64_t group, bool shared) {
  const int64_t head = tensor.strides[1];
  return View(tensor, {kv_heads, group, tensor.sizes[0], tensor.sizes[2]},
              {shared ? head : head * group, shared ? 0 : head, tensor.strides[0], tensor.strides[2]}, 0);
}

Tensor Attention(jlong q_handle, jlong k_handle, jlong v_handle, jlong mask_handle, bool causal, double scale) {
  constexpr const char* kName = "attention";
  const TensorInfo q = Info(kName, "q", q_handle);
  const TensorInfo k = Info(kName, "k", k_handle);
  const TensorInfo v = Info(kName, "v", v_handle);
  RequireKernelType(kName, q);
  for (const TensorInfo* tensor : {&q, &k, &v}) {
    RequireType(kName, *tensor, q.type);
    RequireDim(kName, *tensor, 3);
    RequireDenseLast(kName, *tensor);
  }
  const int64_t tokens = q.sizes[0];
  const int64_t heads = q.sizes[1];
  const int64_t dim = q.sizes[2];
  const int64_t kv_tokens = k.sizes[0];
  const int64_t kv_heads = k.sizes[1];
  if (v.sizes[0] != kv_tokens || v.sizes[1] != kv_heads || k.sizes[2] != dim || v.sizes[2] != dim) {
    Refuse("%s: q is %s, k is %s and v is %s, but k and v must have the same shape, with q's last dimension", kName,
           q.Text().c_str(), k.Text().c_str(), v.Text().c_str());
  }
  if (kv_tokens == 0 || kv_heads == 0 || dim == 0 || heads == 0 || heads % kv_heads != 0) {
    Refuse("%s: q is %s and k is %s, but neither k nor a head may be empty and q's heads must be a multiple of k's",
           kName, q.Text().c_str(), k.Text().c_str());
  }
  if (causal && tokens != kv_tokens) {
    Refuse("%s: q is %s and k is %s, but causal needs as many rows in q as in k; pass a mask instead", kName,
           q.Text().c_str(), k.Text().c_str());
  }
  if (mask_handle != 0) {
    const TensorInfo mask = Info(kName, "mask", mask_handle);
    if (causal) {
      Refuse("%s: mask is %s and causal is true, but only one of them is allowed", kName, mask.Text().c_str());
    }
    RequireType(kName, mask, ElementType::kBool);
    if (mask.dim != 2 || mask.sizes[0] != tokens || mask.sizes[1] != kv_tokens) {
      Refuse("%s: mask is %s, but q %s and k %s take [%lld, %lld]", kName, mask.Text().c_str(), q.Text().c_str(),
             k.Text().c_str(), Long(tokens), Long(kv_tokens));
    }
  }
  if (!std::isfinite(scale)) {
    Refuse("%s: scale is %g, but it must be finite", kName, scale);
  }
  if (tokens == 0) {
    return Empty(Sizes(q), q.type);
  }
  const int64_t group = heads / kv_heads;
  const Tensor query = AttentionView(q, kv_heads, group, false);
  const Tensor key = AttentionView(k, kv_heads, group, true);
  const Tensor value = AttentionView(v, kv_heads, group, true);
  const Tensor result = CallForTensor("aten::scaled_dot_product_attention", "",
                                      {Argument::Of(query.get()), Argument::Of(key.get()), Argument::Of(value.get()),
                                       Argument::Optional(ToHandle(mask_handle)), Argument::Double(0.0),
                                       Argument::Bool(causal), Argument::OptionalDouble(scale), Argument::Bool(false)});
  // [kv heads, group, tokens, dim] back to [tokens, heads, dim]. The two head dimensions merge only in a copy, unless
  // there is one token.
  const TensorInfo out = Describe(kName, "result", result.get());
  const int64_t* strides = out.strides;
  Tensor rows = View(out, {tokens, kv_heads, group, dim}, {strides[2], strides[0], strides[1], strides[3]}, 0);
  const TensorInfo seen = Describe(kName, "result", rows.get());
  if (!seen.Contiguous()) {
    rows = ContiguousCopy(rows.get(), Sizes(seen), q.type);
  }
  const std::vector<int64_t> sizes = {tokens, heads, dim};
  return View(Describe(kName, "result", rows.get()), sizes, ContiguousStrides(sizes), 0);
}

Tensor NarrowRows(const char* operation, const TensorInfo& tensor, int64_t from, int64_t to) {
  if (tensor.dim < 1 || from < 0 || to < from || to > tensor.sizes[0]) {
    Refuse("%s: rows %lld to %lld do not lie within %s %s", operation, Long(from), Long(to), tensor.name,
           tensor.Text().c_str());
  }
  std::vector<int64_t> sizes = Sizes(tensor);
  sizes[0] = to - from;
  return View(tensor, sizes, {tensor.strides, tensor.strides + tensor.dim}, from * tensor.strides[0]);
}

void CopyRows(jlong target_handle, int64_t target_row, jlong source_handle) {
  constexpr const char* kName = "copyRows";
  const TensorInfo target = InfoAnywhere(kName, "target", target_handle);
  const TensorInfo source = InfoAnywhere(kName, "source", source_handle);
  RequireType(kName, source, target.type);
  bool fits = target.dim >= 1 && target.dim == source.dim;
  for (int64_t i = 1; fits && i < target.dim; ++i) {
    fits = target.sizes[i] == source.sizes[i];
  }
  if (!fits) {
    Refuse("%s: source is %s and target is %s, but all dimensions after the first must be the same", kName,
           source.Text().c_str(), target.Text().c_str());
  }
  const int64_t rows = source.sizes[0];
  if (target_row < 0 || target_row > target.sizes[0] - rows) {
    Refuse("%s: %lld rows at row %lld do not lie within target %s", kName, Long(rows), Long(target_row),
           target.Text().c_str());
  }
  const Tensor part = NarrowRows(kName, target, target_row, target_row + rows);
  const TensorInfo written = Describe(kName, "target", part.get(), PlaceOf(part.get()));
  RequireSeparate(kName, written, source);
  if (source.numel == 0) {
    return;
  }
  const bool on_host = OnHost(target) && OnHost(source);
  if (on_host && written.Contiguous() && source.Contiguous() && source.type != ElementType::kOther) {
    std::memcpy(written.data, source.data, static_cast<size_t>(source.numel * ElementSize(source.type)));
  } else {
    CheckTorch(aoti_torch_copy_(written.handle, source.handle, 0), "aten::copy_");
  }
}

Tensor WrapArray(std::vector<int64_t>* values) {
  return Wrap(values->data(), {static_cast<int64_t>(values->size())}, ElementType::kInt64);
}

std::vector<AtenTensorHandle> Handles(JNIEnv* env, const char* operation, const char* name, jlongArray array) {
  std::vector<AtenTensorHandle> handles;
  for (const int64_t handle : LongArray(env, operation, name, array)) {
    handles.push_back(ToHandle(handle));
  }
  return handles;
}

jlongArray NewArray(JNIEnv* env, size_t length) {
  const jlongArray result = env->NewLongArray(static_cast<jsize>(length));
  if (result == nullptr) {
    throw PendingJavaException();
  }
  return result;
}

// Hands tensors over to Java, in an array of as many.
void SetTensors(JNIEnv* env, std::vector<Tensor> tensors, jlongArray result) {
  std::vector<jlong> handles;
  handles.reserve(tensors.size());
  for (Tensor& tensor : tensors) {
    handles.push_back(ToJava(std::move(tensor)));
  }
  env->SetLongArrayRegion(result, 0, static_cast<jsize>(handles.size()), handles.data());
}

// Whether the kernels for few rows are the way for all weights.
bool FewRowsOfAll(const char* operation, jlong x, const std::vector<AtenTensorHandle>& weights) {
  const TensorInfo rows = Info(operation, "x", x);
  return std::all_of(weights.begin(), weights.end(), [&](AtenTensorHandle weight) {
    const TensorInfo info = Describe(operation, "weight", weight);
    RequireDim(operation, info, 2);
    return FewRows(rows, info);
  });
}

// Products with libtorch, or whatever is the way for each weight.
std::vector<Tensor> ManyRows(jlong x, const std::vector<AtenTensorHandle>& weights) {
  std::vector<Tensor> products;
  products.reserve(weights.size());
  for (const AtenTensorHandle weight : weights) {
    products.push_back(Linear(x, reinterpret_cast<jlong>(weight), 0));
  }
  return products;
}

void SgmvGroup(const SgmvArguments& arguments) {
  const CheckedSgmv checked(arguments);
  const auto y = [&arguments](size_t i) {
    return Argument::Optional(i < arguments.targets.size() ? arguments.targets[i].y : nullptr);
  };
  const auto bias = [&arguments](size_t i) {
    return Argument::Optional(i < arguments.targets.size() ? arguments.targets[i].bias : nullptr);
  };
  const auto module = [&arguments](size_t i) {
    return Argument::Int(i < arguments.targets.size() ? arguments.targets[i].module : 0);
  };
  const SgmvPlan& plan = arguments.plan;
  CallOperator(
      "djl_lora::sgmv_group", "",
      {Argument::Of(arguments.x), Argument::Of(arguments.targets[0].y), bias(0), module(0), y(1), bias(1), module(1),
       y(2), bias(2), module(2), y(3), bias(3), module(3), Argument::Of(plan.segment_starts), Argument::Of(plan.slots),
       Argument::Optional(plan.entry_starts), Argument::Optional(plan.entry_weights), Argument::Int(arguments.table)});
}

// What Java hands over to linearSgmv and gatedLinearSgmv, beside x.
struct LinearSgmvArrays {
  jlongArray weights;
  jlongArray biases;
  jlongArray segment_starts;
  jlongArray entry_starts;  // or null
  jlongArray slots;
  jfloatArray entry_weights;  // null without entry_starts
  jlong table;
  jintArray modules;
};

class LinearSgmvCall {
 public:
  LinearSgmvCall(JNIEnv* env, const char* operation, jlong x, const LinearSgmvArrays& arrays)
      : x_(x),
        weights_(Handles(env, operation, "weights", arrays.weights)),
        starts_(LongArray(env, operation, "segmentStarts", arrays.segment_starts)),
        slots_(LongArray(env, operation, "slots", arrays.slots)),
        starts_tensor_(WrapArray(&starts_)),
        slots_tensor_(WrapArray(&slots_)),
        arguments_{operation,
                   Targets(env, operation, "weights", arrays.weights, arrays.biases, arrays.modules),
                   ToHandle(x),
                   {starts_tensor_.get(), slots_tensor_.get()},
                   arrays.table} {
    if (arrays.entry_starts != nullptr) {
      entries_ = LongArray(env, operation, "entryStarts", arrays.entry_starts);
      factors_ = FloatArray(env, operation, "entryWeights", arrays.entry_weights);
      entries_tensor_ = WrapArray(&entries_);
      factors_tensor_ = Wrap(factors_.data(), {static_cast<int64_t>(factors_.size())}, ElementType::kFloat32);
      arguments_.plan.entry_starts = entries_tensor_.get();
      arguments_.plan.entry_weights = factors_tensor_.get();
    }
  }

  const std::vector<AtenTensorHandle>& weights() const { return weights_; }

  std::vector<Tensor> Run() const {
    return FewRowsOfAll(arguments_.name, x_, weights_) ? LinearSgmv(arguments_, weights_, omp_get_max_threads())
                                                       : RunForManyRows();
  }

  Tensor RunGated() const {
    if (FewRowsOfAll(arguments_.name, x_, weights_)) {
      return GatedLinearSgmv(arguments_, weights_, omp_get_max_threads());
    }
    const std::vector<Tensor> both = RunForManyRows();
    if (both.size() != 2) {
      Refuse("%s: the group has %zu modules, but with a gate it must have 2", arguments_.name, both.size());
    }
    return SiluMul(both[0].get(), both[1].get(), omp_get_max_threads());
  }

 private:
  std::vector<Tensor> RunForManyRows() const {
    std::vector<Tensor> products = ManyRows(x_, weights_);
    SgmvArguments arguments = arguments_;
    for (size_t i = 0; i < products.size(); ++i) {
      arguments.targets[i].y = products[i].get();
    }
    SgmvGroup(arguments);
    return products;
  }

  jlong x_;
  std::vector<AtenTensorHandle> weights_;
  std::vector<int64_t> starts_;
  std::vector<int64_t> slots_;
  std::vector<int64_t> entries_;
  std::vector<float> factors_;
  Tensor starts_tensor_;
  Tensor slots_tensor_;
  Tensor entries_tensor_;
  Tensor factors_tensor_;
  SgmvArguments arguments_;
};

}  // namespace

}  // namespace djl_lora

// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name)
using djl_lora::Argument;
using djl_lora::ElementType;
using djl_lora::Guard;
using djl_lora::Tensor;
using djl_lora::TensorInfo;
using djl_lora::ToHandle;
using djl_lora::ToJava;
using djl_lora::Wrap;

#define LORA_NATIVE(type, name) extern "C" JNIEXPORT type JNICALL Java_ai_djl_lora_jni_LoraNative_##name

extern "C" JNIEXPORT jint JNICALL JNI_OnLoad(JavaVM* vm, void*) {
  JNIEnv* env = nullptr;
  if (vm->GetEnv(reinterpret_cast<void**>(&env), JNI_VERSION_1_8) != JNI_OK) {
    return JNI_ERR;
  }
  const std::string& error = djl_lora::RegistrationError();
  if (!error.empty()) {
    djl_lora::ThrowJava(env, "java/lang/UnsatisfiedLinkError", error.c_str());
    return JNI_ERR;
  }
  return JNI_VERSION_1_8;
}

LORA_NATIVE(jstring, version)(JNIEnv* env, jclass) {
  return Guard(env, [&] {
    const uint64_t abi = aoti_torch_abi_version();  // one byte each for major, minor and patch, from the top
    return djl_lora::JavaString(env, djl_lora::Format("%s (stable C interface, libtorch %d.%d.%d)", DJL_LORA_VERSION,
                                                      static_cast<int>(abi >> 56), static_cast<int>((abi >> 48) & 0xff),
                                                      static_cast<int>((abi >> 40) & 0xff)));
  });
}

LORA_NATIVE(jstring, cpuFeatures)(JNIEnv* env, jclass) {
  return Guard(env, [&] { return djl_lora::JavaString(env, djl_lora::CpuFeatures()); });
}

LORA_NATIVE(jstring, kernels)(JNIEnv* env, jclass) {
  return Guard(env, [&] { return djl_lora::JavaString(env, djl_lora::IsaName(djl_lora::ActiveIsa())); });
}

LORA_NATIVE(jint, threads)(JNIEnv*, jclass) { return omp_get_max_threads(); }

LORA_NATIVE(void, useThreads)(JNIEnv*, jclass, jint threads) { omp_set_num_threads(std::max<jint>(1, threads)); }

LORA_NATIVE(void, releaseThreads)(JNIEnv*, jclass) { omp_pause_resource_all(omp_pause_soft); }

LORA_NATIVE(jint, elementType)(JNIEnv* env, jclass, jlong tensor) {
  return Guard(env, [&] { return static_cast<jint>(djl_lora::InfoAnywhere("elementType", "tensor", tensor).type); });
}

LORA_NATIVE(jlongArray, shape)(JNIEnv* env, jclass, jlong tensor) {
  return Guard(env, [&] {
    const TensorInfo info = djl_lora::InfoAnywhere("shape", "tensor", tensor);
    jlongArray result = env->NewLongArray(static_cast<jsize>(info.dim));
    if (result == nullptr) {
      throw djl_lora::PendingJavaException();
    }
    env->SetLongArrayRegion(result, 0, static_cast<jsize>(info.dim), reinterpret_cast<const jlong*>(info.sizes));
    return result;
  });
}

LORA_NATIVE(jlong, fromBuffer)
(JNIEnv* env, jclass, jobject buffer, jlong byte_offset, jint type_code, jlongArray shape) {
  constexpr const char* kName = "fromBuffer";
  return Guard(env, [&] {
    const ElementType type = djl_lora::TypeArgument(kName, type_code);
    const std::vector<int64_t> sizes = djl_lora::Shape(env, kName, shape, type);
    const djl_lora::DirectMemory memory = djl_lora::DirectBuffer(env, kName, "buffer", buffer);
    int64_t bytes = djl_lora::ElementSize(type);
    for (const int64_t size : sizes) {
      bytes *= size;
    }
    if (byte_offset < 0 || byte_offset > memory.capacity - bytes) {
      djl_lora::Refuse("%s: %s %s is %lld bytes, which at offset %lld do not lie within the buffer of %lld bytes",
                       kName, djl_lora::ElementName(type),
                       djl_lora::ShapeText(sizes.data(), static_cast<int64_t>(sizes.size())).c_str(),
                       djl_lora::Long(bytes), djl_lora::Long(byte_offset), djl_lora::Long(memory.capacity));
    }
    char* data = memory.data + byte_offset;
    const int64_t alignment = std::max<int64_t>(djl_lora::ElementSize(type), 1);
    if (reinterpret_cast<uintptr_t>(data) % static_cast<uintptr_t>(alignment) != 0) {
      djl_lora::Refuse("%s: offset %lld of the buffer is not aligned to the %lld bytes of a %s", kName,
                       djl_lora::Long(byte_offset), djl_lora::Long(djl_lora::ElementSize(type)),
                       djl_lora::ElementName(type));
    }
    return ToJava(Wrap(data, sizes, type));
  });
}

LORA_NATIVE(jlong, empty)(JNIEnv* env, jclass, jint type_code, jlongArray shape, jint device) {
  return Guard(env, [&] {
    const ElementType type = djl_lora::TypeArgument("empty", type_code);
    const djl_lora::TensorPlace place = djl_lora::PlaceArgument("empty", device);
    return ToJava(djl_lora::Empty(djl_lora::Shape(env, "empty", shape, type), type, place));
  });
}

LORA_NATIVE(jlong, zeros)(JNIEnv* env, jclass, jint type_code, jlongArray shape, jint device) {
  return Guard(env, [&] {
    const ElementType type = djl_lora::TypeArgument("zeros", type_code);
    const djl_lora::TensorPlace place = djl_lora::PlaceArgument("zeros", device);
    Tensor result = djl_lora::Empty(djl_lora::Shape(env, "zeros", shape, type), type, place);
    djl_lora::CheckTorch(aoti_torch_zero_(result.get()), "aten::zero_");
    return ToJava(std::move(result));
  });
}

LORA_NATIVE(void, preferHugePages)(JNIEnv* env, jclass, jlong tensor) {
  constexpr const char* kName = "preferHugePages";
  Guard(env, [&] {
    const TensorInfo info = djl_lora::Info(kName, "tensor", tensor);
    djl_lora::RequireContiguous(kName, info);
    djl_lora::PreferHugePages(info.As<char>(), info.numel * djl_lora::ElementSize(info.type));
  });
}

LORA_NATIVE(jlong, discardPages)(JNIEnv* env, jclass, jlong tensor, jlong byte_offset, jlong length) {
  constexpr const char* kName = "discardPages";
  return Guard(env, [&] {
    const TensorInfo info = djl_lora::Info(kName, "tensor", tensor);
    char* data = djl_lora::ByteRange(kName, info, byte_offset, length);
    return static_cast<jlong>(djl_lora::DiscardPages(data, length));
  });
}

LORA_NATIVE(void, copyFromBytes)
(JNIEnv* env, jclass, jlong tensor, jlong byte_offset, jbyteArray source, jint from, jint length) {
  constexpr const char* kName = "copyFromBytes";
  Guard(env, [&] {
    const TensorInfo target = djl_lora::InfoAnywhere(kName, "tensor", tensor);
    djl_lora::CheckArrayRange(env, kName, "source", source, from, length);
    char* data = djl_lora::ByteRange(kName, target, byte_offset, length);
    if (djl_lora::OnHost(target)) {
      env->GetByteArrayRegion(source, from, length, reinterpret_cast<jbyte*>(data));
      return;
    }
    std::vector<jbyte> copy(static_cast<size_t>(length));
    env->GetByteArrayRegion(source, from, length, copy.data());
    djl_lora::CopyBytes(kName, target, byte_offset, length, copy.data(), false);
  });
}

LORA_NATIVE(void, copyToBytes)
(JNIEnv* env, jclass, jlong tensor, jlong byte_offset, jbyteArray target, jint from, jint length) {
  constexpr const char* kName = "copyToBytes";
  Guard(env, [&] {
    const TensorInfo source = djl_lora::InfoAnywhere(kName, "tensor", tensor);
    djl_lora::CheckArrayRange(env, kName, "target", target, from, length);
    const char* data = djl_lora::ByteRange(kName, source, byte_offset, length);
    if (djl_lora::OnHost(source)) {
      env->SetByteArrayRegion(target, from, length, reinterpret_cast<const jbyte*>(data));
      return;
    }
    std::vector<jbyte> copy(static_cast<size_t>(length));
    djl_lora::CopyBytes(kName, source, byte_offset, length, copy.data(), true);
    env->SetByteArrayRegion(target, from, length, copy.data());
  });
}

LORA_NATIVE(jlong, readAll)(JNIEnv* env, jclass, jlong tensor) {
  constexpr const char* kName = "readAll";
  return Guard(env, [&] {
    const TensorInfo info = djl_lora::Info(kName, "tensor", tensor);
    djl_lora::RequireContiguous(kName, info);
    const int64_t bytes = info.numel * djl_lora::ElementSize(info.type);
    return static_cast<jlong>(djl_lora::ReadAll(info.data, bytes, omp_get_max_threads()));
  });
}

LORA_NATIVE(void, copyFromBuffer)
(JNIEnv* env, jclass, jlong tensor, jlong byte_offset, jobject source, jint from, jint length) {
  constexpr const char* kName = "copyFromBuffer";
  Guard(env, [&] {
    const TensorInfo target = djl_lora::InfoAnywhere(kName, "tensor", tensor);
    const djl_lora::DirectMemory memory = djl_lora::DirectBuffer(env, kName, "source", source);
    if (from < 0 || length < 0 || from > memory.capacity - length) {
      djl_lora::Refuse("%s: %d bytes at index %d do not lie within source of %lld bytes", kName,
                       static_cast<int>(length), static_cast<int>(from), djl_lora::Long(memory.capacity));
    }
    char* data = djl_lora::ByteRange(kName, target, byte_offset, length);
    if (!djl_lora::OnHost(target)) {
      djl_lora::CopyBytes(kName, target, byte_offset, length, memory.data + from, false);
    } else if (length > 0) {
      std::memmove(data, memory.data + from, static_cast<size_t>(length));
    }
  });
}

LORA_NATIVE(jlong, toType)(JNIEnv* env, jclass, jlong tensor, jint type_code) {
  constexpr const char* kName = "toType";
  return Guard(env, [&] {
    const ElementType type = djl_lora::TypeArgument(kName, type_code);
    const TensorInfo source = djl_lora::InfoAnywhere(kName, "tensor", tensor);
    if (!djl_lora::IsKernelType(type)) {
      djl_lora::Refuse("%s: type is %s, but it must be float32, float16 or bfloat16", kName,
                       djl_lora::ElementName(type));
    }
    return ToJava(
        djl_lora::ContiguousCopy(source.handle, djl_lora::Sizes(source), type, djl_lora::PlaceOf(source.handle)));
  });
}

LORA_NATIVE(jlong, toDevice)(JNIEnv* env, jclass, jlong tensor, jint device) {
  constexpr const char* kName = "toDevice";
  return Guard(env, [&] {
    const TensorInfo source = djl_lora::InfoAnywhere(kName, "tensor", tensor);
    return ToJava(djl_lora::ContiguousCopy(source.handle, djl_lora::Sizes(source), source.type,
                                           djl_lora::PlaceArgument(kName, device)));
  });
}

LORA_NATIVE(jlong, linear)(JNIEnv* env, jclass, jlong x, jlong weight, jlong bias) {
  return Guard(env, [&] { return ToJava(djl_lora::Linear(x, weight, bias)); });
}

LORA_NATIVE(jlongArray, linearGroup)(JNIEnv* env, jclass, jlong x, jlongArray weights) {
  constexpr const char* kName = "linearGroup";
  return Guard(env, [&]() -> jlongArray {
    const std::vector<AtenTensorHandle> tensors = djl_lora::Handles(env, kName, "weights", weights);
    const jlongArray result = djl_lora::NewArray(env, tensors.size());
    if (!djl_lora::PlaceOf(ToHandle(x)).cuda && djl_lora::FewRowsOfAll(kName, x, tensors)) {
      djl_lora::SetTensors(env, djl_lora::LinearGroup(kName, ToHandle(x), tensors, omp_get_max_threads()), result);
    } else {
      djl_lora::SetTensors(env, djl_lora::ManyRows(x, tensors), result);
    }
    return result;
  });
}

LORA_NATIVE(jlongArray, linearSgmv)
(JNIEnv* env, jclass, jlong x, jlongArray weights, jlongArray biases, jlongArray segment_starts,
 jlongArray entry_starts, jlongArray slots, jfloatArray entry_weights, jlong table, jintArray modules) {
  constexpr const char* kName = "linearSgmv";
  return Guard(env, [&]() -> jlongArray {
    const djl_lora::LinearSgmvCall call(
        env, kName, x, {weights, biases, segment_starts, entry_starts, slots, entry_weights, table, modules});
    const jlongArray result = djl_lora::NewArray(env, call.weights().size());
    djl_lora::SetTensors(env, call.Run(), result);
    return result;
  });
}

LORA_NATIVE(jlong, gatedLinearSgmv)
(JNIEnv* env, jclass, jlong x, jlongArray weights, jlongArray biases, jlongArray segment_starts,
 jlongArray entry_starts, jlongArray slots, jfloatArray entry_weights, jlong table, jintArray modules) {
  constexpr const char* kName = "gatedLinearSgmv";
  return Guard(env, [&] {
    const djl_lora::LinearSgmvCall call(
        env, kName, x, {weights, biases, segment_starts, entry_starts, slots, entry_weights, table, modules});
    return ToJava(call.RunGated());
  });
}

LORA_NATIVE(jlong, linearInt8)(JNIEnv* env, jclass, jlong x, jlong weight, jlong scale, jlong bias) {
  return Guard(env, [&] {
    djl_lora::Info("linear_rows_int8", "scale", scale);
    djl_lora::CheckLinear("linear_rows_int8", {ToHandle(x), ToHandle(weight), ToHandle(scale), ToHandle(bias)});
    return ToJava(djl_lora::CallForTensor("djl_lora::linear_rows_int8", "",
                                          {Argument::Of(ToHandle(x)), Argument::Of(ToHandle(weight)),
                                           Argument::Of(ToHandle(scale)), Argument::Optional(ToHandle(bias))}));
  });
}

LORA_NATIVE(jlong, embedding)(JNIEnv* env, jclass, jlong weight, jlong ids) {
  return Guard(env, [&] { return ToJava(djl_lora::Embedding(weight, ids)); });
}

LORA_NATIVE(jlong, siluMul)(JNIEnv* env, jclass, jlong gate, jlong up) {
  return Guard(env, [&] { return ToJava(djl_lora::SiluMul(ToHandle(gate), ToHandle(up), omp_get_max_threads())); });
}

LORA_NATIVE(jlong, rmsNorm)(JNIEnv* env, jclass, jlong x, jlong delta, jlong weight, jdouble eps) {
  return Guard(env, [&] {
    return ToJava(djl_lora::RmsNorm(ToHandle(x), ToHandle(delta), ToHandle(weight), eps, omp_get_max_threads()));
  });
}

LORA_NATIVE(void, argmaxRows)(JNIEnv* env, jclass, jlong x, jintArray indices) {
  Guard(env, [&] {
    if (indices == nullptr) {
      djl_lora::Refuse("argmaxRows: indices is null");
    }
    const jsize count = env->GetArrayLength(indices);
    std::vector<int64_t> found(static_cast<size_t>(count));
    djl_lora::ArgmaxRows(ToHandle(x), found.data(), count, omp_get_max_threads());
    const std::vector<jint> result(found.begin(), found.end());
    env->SetIntArrayRegion(indices, 0, count, result.data());
  });
}

LORA_NATIVE(jlong, pagedAttention)
(JNIEnv* env, jclass, jlong q, jlong keys, jlong values, jlong row_starts, jlong lengths, jlong page_starts,
 jlong page_table, jlong window, jdouble scale) {
  return Guard(env, [&] {
    return ToJava(djl_lora::PagedAttention({ToHandle(q),
                                            {ToHandle(keys), ToHandle(values)},
                                            ToHandle(row_starts),
                                            ToHandle(lengths),
                                            ToHandle(page_starts),
                                            ToHandle(page_table),
                                            window,
                                            scale},
                                           omp_get_max_threads()));
  });
}

LORA_NATIVE(void, kvWrite)
(JNIEnv* env, jclass, jlong q, jlong k, jlong v, jlong cos, jlong sin, jlong keys, jlong values, jlong places) {
  Guard(env, [&] {
    djl_lora::KvWrite({ToHandle(q),
                       ToHandle(k),
                       ToHandle(v),
                       ToHandle(cos),
                       ToHandle(sin),
                       {ToHandle(keys), ToHandle(values)},
                       ToHandle(places)},
                      omp_get_max_threads());
  });
}

LORA_NATIVE(void, rotary)(JNIEnv* env, jclass, jlong x, jlong cos, jlong sin) {
  Guard(env, [&] { djl_lora::Rotary(x, cos, sin); });
}

LORA_NATIVE(jlong, attention)
(JNIEnv* env, jclass, jlong q, jlong k, jlong v, jlong mask, jboolean causal, jdouble scale) {
  return Guard(env, [&] { return ToJava(djl_lora::Attention(q, k, v, mask, causal != JNI_FALSE, scale)); });
}

LORA_NATIVE(void, copyRows)(JNIEnv* env, jclass, jlong target, jlong target_row, jlong source) {
  Guard(env, [&] { djl_lora::CopyRows(target, target_row, source); });
}

LORA_NATIVE(jlong, narrowRows)(JNIEnv* env, jclass, jlong tensor, jlong from, jlong to) {
  return Guard(env, [&] {
    return ToJava(djl_lora::NarrowRows("narrowRows", djl_lora::InfoAnywhere("narrowRows", "tensor", tensor), from, to));
  });
}

// The table's operators and sgmv check their arguments themselves. The same checks are made here first, since what an
// operator refuses libtorch also prints.

LORA_NATIVE(jlong, tableCreate)(JNIEnv* env, jclass, jlongArray in_features, jlongArray out_features, jint type) {
  constexpr const char* kName = "table_create";
  return Guard(env, [&]() -> jlong {
    std::vector<int64_t> in = djl_lora::LongArray(env, kName, "inFeatures", in_features);
    std::vector<int64_t> out = djl_lora::LongArray(env, kName, "outFeatures", out_features);
    const Tensor in_tensor = Wrap(in.data(), {static_cast<int64_t>(in.size())}, ElementType::kInt64);
    const Tensor out_tensor = Wrap(out.data(), {static_cast<int64_t>(out.size())}, ElementType::kInt64);
    djl_lora::CheckTableCreate(in_tensor.get(), out_tensor.get(), type);
    return static_cast<jlong>(
        djl_lora::CallOperator("djl_lora::table_create", "",
                               {Argument::Of(in_tensor.get()), Argument::Of(out_tensor.get()), Argument::Int(type)}));
  });
}

LORA_NATIVE(void, tablePut)
(JNIEnv* env, jclass, jlong table, jint slot, jlong weights, jlongArray layout, jfloatArray scales, jlong arena,
 jlong offset) {
  constexpr const char* kName = "table_put";
  Guard(env, [&] {
    std::vector<int64_t> rows = djl_lora::LongArray(env, kName, "layout", layout);
    std::vector<float> factors = djl_lora::FloatArray(env, kName, "scales", scales);
    const Tensor layout_tensor = djl_lora::LayoutTensor(kName, &rows);
    const Tensor scales_tensor = Wrap(factors.data(), {static_cast<int64_t>(factors.size())}, ElementType::kFloat32);
    djl_lora::CheckTablePut(table, slot, ToHandle(weights), layout_tensor.get(), scales_tensor.get(),
                            {ToHandle(arena), offset});
    djl_lora::CallOperator(
        "djl_lora::table_put", "",
        {Argument::Int(table), Argument::Int(slot), Argument::Of(ToHandle(weights)), Argument::Of(layout_tensor.get()),
         Argument::Of(scales_tensor.get()), Argument::Optional(ToHandle(arena)), Argument::Int(offset)});
  });
}

LORA_NATIVE(void, tablePutInt8)
(JNIEnv* env, jclass, jlong table, jint slot, jlong weights, jfloatArray component_scales, jlong vectors,
 jlongArray layout, jfloatArray scales, jlong arena, jlong offset) {
  constexpr const char* kName = "table_put_int8";
  Guard(env, [&] {
    std::vector<int64_t> rows = djl_lora::LongArray(env, kName, "layout", layout);
    std::vector<float> components = djl_lora::FloatArray(env, kName, "componentScales", component_scales);
    std::vector<float> factors = djl_lora::FloatArray(env, kName, "scales", scales);
    const Tensor layout_tensor = djl_lora::LayoutTensor(kName, &rows);
    const Tensor components_tensor =
        Wrap(components.data(), {static_cast<int64_t>(components.size())}, ElementType::kFloat32);
    const Tensor scales_tensor = Wrap(factors.data(), {static_cast<int64_t>(factors.size())}, ElementType::kFloat32);
    djl_lora::CheckTablePutInt8(table, slot, {ToHandle(weights), components_tensor.get(), ToHandle(vectors)},
                                layout_tensor.get(), scales_tensor.get(), {ToHandle(arena), offset});
    djl_lora::CallOperator("djl_lora::table_put_int8", "",
                           {Argument::Int(table), Argument::Int(slot), Argument::Of(ToHandle(weights)),
                            Argument::Of(components_tensor.get()), Argument::Optional(ToHandle(vectors)),
                            Argument::Of(layout_tensor.get()), Argument::Of(scales_tensor.get()),
                            Argument::Optional(ToHandle(arena)), Argument::Int(offset)});
  });
}

LORA_NATIVE(void, tableMove)(JNIEnv* env, jclass, jlong table, jint slot, jlong offset) {
  Guard(env, [&] {
    djl_lora::CheckTableMove(table, slot, offset);
    djl_lora::CallOperator("djl_lora::table_move", "",
                           {Argument::Int(table), Argument::Int(slot), Argument::Int(offset)});
  });
}

LORA_NATIVE(jlong, tablePackedBytes)(JNIEnv* env, jclass, jlong table, jlongArray layout, jboolean int8) {
  constexpr const char* kName = "table_packed_bytes";
  return Guard(env, [&] {
    std::vector<int64_t> rows = djl_lora::LongArray(env, kName, "layout", layout);
    const Tensor layout_tensor = djl_lora::LayoutTensor(kName, &rows);
    return static_cast<jlong>(djl_lora::TablePackedBytes(table, layout_tensor.get(), int8 != JNI_FALSE));
  });
}

LORA_NATIVE(jlong, tableBytes)(JNIEnv* env, jclass, jlong table, jint slot) {
  return Guard(env, [&] { return static_cast<jlong>(djl_lora::TableBytes(table, slot)); });
}

LORA_NATIVE(void, tableRemove)(JNIEnv* env, jclass, jlong table, jint slot) {
  Guard(env, [&] {
    djl_lora::CheckTableRemove(table, slot);
    djl_lora::CallOperator("djl_lora::table_remove", "", {Argument::Int(table), Argument::Int(slot)});
  });
}

LORA_NATIVE(void, tableClose)(JNIEnv* env, jclass, jlong table) {
  Guard(env, [&] {
    djl_lora::FindTable("table_close", table);
    djl_lora::CallOperator("djl_lora::table_close", "", {Argument::Int(table)});
  });
}

LORA_NATIVE(void, sgmv)
(JNIEnv* env, jclass, jlong y, jlong x, jlong bias, jlongArray segment_starts, jlongArray slots, jlong table,
 jint module) {
  constexpr const char* kName = "sgmv";
  Guard(env, [&] {
    std::vector<int64_t> starts = djl_lora::LongArray(env, kName, "segmentStarts", segment_starts);
    std::vector<int64_t> choice = djl_lora::LongArray(env, kName, "slots", slots);
    const Tensor starts_tensor = djl_lora::WrapArray(&starts);
    const Tensor slots_tensor = djl_lora::WrapArray(&choice);
    const djl_lora::CheckedSgmv checked({kName,
                                         {{ToHandle(y), ToHandle(bias), module}},
                                         ToHandle(x),
                                         {starts_tensor.get(), slots_tensor.get()},
                                         table});
    djl_lora::CallOperator("djl_lora::sgmv", "",
                           {Argument::Of(ToHandle(y)), Argument::Of(ToHandle(x)), Argument::Optional(ToHandle(bias)),
                            Argument::Of(starts_tensor.get()), Argument::Of(slots_tensor.get()), Argument::Int(table),
                            Argument::Int(module)});
  });
}

LORA_NATIVE(void, sgmvGroup)
(JNIEnv* env, jclass, jlongArray ys, jlong x, jlongArray biases, jlongArray segment_starts, jlongArray slots,
 jlong table, jintArray modules) {
  constexpr const char* kName = "sgmv_group";
  Guard(env, [&] {
    std::vector<int64_t> starts = djl_lora::LongArray(env, kName, "segmentStarts", segment_starts);
    std::vector<int64_t> choice = djl_lora::LongArray(env, kName, "slots", slots);
    const Tensor starts_tensor = djl_lora::WrapArray(&starts);
    const Tensor slots_tensor = djl_lora::WrapArray(&choice);
    djl_lora::SgmvGroup({kName,
                         djl_lora::Targets(env, kName, "ys", ys, biases, modules),
                         ToHandle(x),
                         {starts_tensor.get(), slots_tensor.get()},
                         table});
  });
}

LORA_NATIVE(void, sgmvStacked)
(JNIEnv* env, jclass, jlongArray ys, jlong x, jlongArray biases, jlongArray segment_starts, jlongArray entry_starts,
 jlongArray entry_slots, jfloatArray entry_weights, jlong table, jintArray modules) {
  constexpr const char* kName = "sgmv_stacked";
  Guard(env, [&] {
    std::vector<int64_t> starts = djl_lora::LongArray(env, kName, "segmentStarts", segment_starts);
    std::vector<int64_t> entries = djl_lora::LongArray(env, kName, "entryStarts", entry_starts);
    std::vector<int64_t> choice = djl_lora::LongArray(env, kName, "entrySlots", entry_slots);
    std::vector<float> factors = djl_lora::FloatArray(env, kName, "entryWeights", entry_weights);
    const Tensor starts_tensor = djl_lora::WrapArray(&starts);
    const Tensor entries_tensor = djl_lora::WrapArray(&entries);
    const Tensor slots_tensor = djl_lora::WrapArray(&choice);
    const Tensor weights_tensor = Wrap(factors.data(), {static_cast<int64_t>(factors.size())}, ElementType::kFloat32);
    djl_lora::SgmvGroup({kName,
                         djl_lora::Targets(env, kName, "ys", ys, biases, modules),
                         ToHandle(x),
                         {starts_tensor.get(), slots_tensor.get(), entries_tensor.get(), weights_tensor.get()},
                         table});
  });
}

LORA_NATIVE(void, deleteTensor)(JNIEnv* env, jclass, jlong tensor) {
  Guard(env, [&] {
    if (tensor == 0) {
      djl_lora::Refuse("deleteTensor: tensor is missing (its handle is 0)");
    }
    djl_lora::CheckTorch(aoti_torch_delete_tensor_object(ToHandle(tensor)), "aoti_torch_delete_tensor_object");
  });
}

LORA_NATIVE(jlong, liveHandles)(JNIEnv*, jclass) { return Tensor::Live(); }

LORA_NATIVE(jlong, openTables)(JNIEnv*, jclass) { return djl_lora::OpenTables(); }

LORA_NATIVE(jlong, liveAdapters)(JNIEnv*, jclass) { return djl_lora::LiveAdapters(); }
// NOLINTEND(readability-inconsistent-declaration-parameter-name)
