// SPDX-License-Identifier: Apache-2.0
//
// The native methods of ai.djl.lora.jni.DeviceTableNative; their contracts are that class's Javadoc.
#include "common/errors.h"
#include "cuda/cuda_device.h"
#include "cuda/torch_stream.h"
#include "jni/adapter_arguments.h"
#include "jni/jni_support.h"
#include "ops/device_table.h"

// The prototypes that javac wrote, so that a method whose arguments differ between the two sides does not compile.
#if defined(__has_include)
#if __has_include("ai_djl_lora_jni_DeviceTableNative.h")
#include "ai_djl_lora_jni_DeviceTableNative.h"
#endif
#endif

namespace djl_lora {

namespace {

DeviceTableLimits Limits(JNIEnv* env, const char* operation, jlongArray array) {
  const std::vector<int64_t> limits = LongArray(env, operation, "limits", array);
  if (limits.size() != 4) {
    Refuse("%s: limits has %zu values, but it must have 4", operation, limits.size());
  }
  return {limits[0], limits[1], limits[2], limits[3]};
}

// An adapter's layout and scales as tensors over copies of the arrays.
class LayoutArguments {
 public:
  LayoutArguments(JNIEnv* env, const char* operation, jlongArray layout, jfloatArray scales)
      : rows_(LongArray(env, operation, "layout", layout)), factors_(FloatArray(env, operation, "scales", scales)) {
    layout_ = LayoutTensor(operation, &rows_);
    scales_ = Wrap(factors_.data(), {static_cast<int64_t>(factors_.size())}, ElementType::kFloat32);
  }
  LayoutArguments(const LayoutArguments&) = delete;
  LayoutArguments& operator=(const LayoutArguments&) = delete;

  AtenTensorHandle layout() const { return layout_.get(); }
  AtenTensorHandle scales() const { return scales_.get(); }

 private:
  std::vector<int64_t> rows_;
  std::vector<float> factors_;
  Tensor layout_;
  Tensor scales_;
};

SgmvArguments Arguments(JNIEnv* env, jlongArray ys, jlong x, jlongArray biases, jlongArray plan, jlong table,
                        jintArray modules) {
  constexpr const char* kName = "sgmv_group";
  const std::vector<int64_t> parts = LongArray(env, kName, "plan", plan);
  if (parts.size() != 2 && parts.size() != 4) {
    Refuse("%s: plan has %zu tensors, but it must have 2, or 4 with stacks", kName, parts.size());
  }
  SgmvArguments arguments{kName,
                          Targets(env, kName, "ys", ys, biases, modules),
                          ToHandle(x),
                          {ToHandle(parts[0]), ToHandle(parts[1])},
                          table};
  if (parts.size() == 4) {
    arguments.plan.entry_starts = ToHandle(parts[2]);
    arguments.plan.entry_weights = ToHandle(parts[3]);
  }
  return arguments;
}

}  // namespace

}  // namespace djl_lora

// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name)
using djl_lora::ElementType;
using djl_lora::FindDeviceTable;
using djl_lora::Guard;
using djl_lora::Tensor;
using djl_lora::ToHandle;

#define DEVICE_TABLE_NATIVE(type, name) extern "C" JNIEXPORT type JNICALL Java_ai_djl_lora_jni_DeviceTableNative_##name

DEVICE_TABLE_NATIVE(jlong, create)
(JNIEnv* env, jclass, jlongArray in_features, jlongArray out_features, jint type, jint device, jlongArray limits) {
  constexpr const char* kName = "device_table_create";
  return Guard(env, [&] {
    std::vector<int64_t> in = djl_lora::LongArray(env, kName, "inFeatures", in_features);
    std::vector<int64_t> out = djl_lora::LongArray(env, kName, "outFeatures", out_features);
    const Tensor in_tensor = djl_lora::Wrap(in.data(), {static_cast<int64_t>(in.size())}, ElementType::kInt64);
    const Tensor out_tensor = djl_lora::Wrap(out.data(), {static_cast<int64_t>(out.size())}, ElementType::kInt64);
    return static_cast<jlong>(djl_lora::DeviceTableCreate(in_tensor.get(), out_tensor.get(), type,
                                                          djl_lora::Limits(env, kName, limits),
                                                          djl_lora::OpenCudaDevice(device)));
  });
}

DEVICE_TABLE_NATIVE(void, grow)(JNIEnv* env, jclass, jlong table, jlongArray limits) {
  constexpr const char* kName = "device_table_grow";
  Guard(env, [&] { FindDeviceTable(kName, table)->Grow(djl_lora::Limits(env, kName, limits)); });
}

DEVICE_TABLE_NATIVE(jlong, packedBytes)(JNIEnv* env, jclass, jlong table, jlongArray layout) {
  constexpr const char* kName = "device_table_packed_bytes";
  return Guard(env, [&] {
    std::vector<int64_t> rows = djl_lora::LongArray(env, kName, "layout", layout);
    const Tensor tensor = djl_lora::LayoutTensor(kName, &rows);
    return static_cast<jlong>(FindDeviceTable(kName, table)->PackedBytes(tensor.get()));
  });
}

DEVICE_TABLE_NATIVE(jlong, rowBytes)(JNIEnv* env, jclass, jlong table) {
  return Guard(env, [&] { return static_cast<jlong>(FindDeviceTable("device_table_row_bytes", table)->RowBytes()); });
}

DEVICE_TABLE_NATIVE(jlong, entriesAddress)(JNIEnv* env, jclass, jlong table, jint slot) {
  return Guard(
      env, [&] { return static_cast<jlong>(FindDeviceTable("device_table_entries", table)->EntriesAddress(slot)); });
}

DEVICE_TABLE_NATIVE(void, put)
(JNIEnv* env, jclass, jlong table, jint slot, jlong weights, jlongArray layout, jfloatArray scales, jlong arena,
 jlong offset) {
  constexpr const char* kName = "device_table_put";
  Guard(env, [&] {
    const djl_lora::LayoutArguments arguments(env, kName, layout, scales);
    FindDeviceTable(kName, table)
        ->Put(slot, ToHandle(weights), arguments.layout(), arguments.scales(), ToHandle(arena), offset);
  });
}

DEVICE_TABLE_NATIVE(void, pack)
(JNIEnv* env, jclass, jlong table, jint slot, jlong weights, jlongArray layout, jfloatArray scales, jlong arena,
 jlong offset, jlong packed) {
  constexpr const char* kName = "device_table_pack";
  Guard(env, [&] {
    const djl_lora::LayoutArguments arguments(env, kName, layout, scales);
    FindDeviceTable(kName, table)
        ->Pack(slot, ToHandle(weights), arguments.layout(), arguments.scales(), ToHandle(arena), offset,
               ToHandle(packed));
  });
}

DEVICE_TABLE_NATIVE(void, move)(JNIEnv* env, jclass, jlong table, jint slot, jlong offset) {
  Guard(env, [&] { FindDeviceTable("device_table_move", table)->Move(slot, offset); });
}

DEVICE_TABLE_NATIVE(void, remove)(JNIEnv* env, jclass, jlong table, jint slot) {
  Guard(env, [&] { FindDeviceTable("device_table_remove", table)->Remove(slot); });
}

DEVICE_TABLE_NATIVE(void, sgmv)
(JNIEnv* env, jclass, jlongArray ys, jlong x, jlongArray biases, jlongArray plan, jlong table, jintArray modules) {
  Guard(env, [&] {
    const djl_lora::SgmvArguments arguments = djl_lora::Arguments(env, ys, x, biases, plan, table, modules);
    FindDeviceTable(arguments.name, table)->Sgmv(arguments);
  });
}

DEVICE_TABLE_NATIVE(void, check)(JNIEnv* env, jclass, jlong table) {
  Guard(env, [&] { FindDeviceTable("device_table_check", table)->Check(); });
}

DEVICE_TABLE_NATIVE(void, close)(JNIEnv* env, jclass, jlong table) {
  Guard(env, [&] { djl_lora::DeviceTableClose(table); });
}

DEVICE_TABLE_NATIVE(jlong, address)(JNIEnv* env, jclass, jlong tensor) {
  return Guard(env, [&] {
    const djl_lora::TensorInfo info =
        djl_lora::Describe("address", "tensor", ToHandle(tensor), djl_lora::PlaceOf(ToHandle(tensor)));
    return reinterpret_cast<jlong>(info.data);
  });
}

DEVICE_TABLE_NATIVE(jlong, stream)(JNIEnv* env, jclass, jint device) {
  return Guard(env, [&] { return reinterpret_cast<jlong>(djl_lora::CurrentTorchStream(device)); });
}

DEVICE_TABLE_NATIVE(jlong, openTables)(JNIEnv*, jclass) { return djl_lora::OpenDeviceTables(); }
// NOLINTEND(readability-inconsistent-declaration-parameter-name)
