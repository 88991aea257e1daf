// SPDX-License-Identifier: Apache-2.0
//
// The native methods of ai.djl.lora.jni.DeviceImages; their contracts are that class's Javadoc.
#include "jni/jni_support.h"
#include "ops/device_table.h"

// The prototypes that javac wrote, so that a method whose arguments differ between the two sides does not compile.
#if defined(__has_include)
#if __has_include("ai_djl_lora_jni_DeviceImages.h")
#include "ai_djl_lora_jni_DeviceImages.h"
#endif
#endif

// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name)
using djl_lora::FindDeviceTable;
using djl_lora::Guard;

#define DEVICE_IMAGES(type, name) extern "C" JNIEXPORT type JNICALL Java_ai_djl_lora_jni_DeviceImages_##name

DEVICE_IMAGES(void, use)(JNIEnv* env, jclass, jlong table, jbyteArray image, jlong in_features) {
  Guard(env, [&] {
    constexpr const char* kName = "device_table_use_image";
    if (image == nullptr) {
      djl_lora::Refuse("%s: image is null", kName);
    }
    std::vector<jbyte> bytes(static_cast<size_t>(env->GetArrayLength(image)));
    env->GetByteArrayRegion(image, 0, static_cast<jsize>(bytes.size()), bytes.data());
    const djl_lora::Tensor tensor =
        djl_lora::Wrap(bytes.data(), {static_cast<int64_t>(bytes.size())}, djl_lora::ElementType::kUInt8);
    FindDeviceTable(kName, table)->UseImage(tensor.get(), in_features);
  });
}

DEVICE_IMAGES(void, drop)(JNIEnv* env, jclass, jlong table, jlong in_features) {
  Guard(env, [&] { FindDeviceTable("device_table_drop_image", table)->DropImage(in_features); });
}

DEVICE_IMAGES(jdoubleArray, times)(JNIEnv* env, jclass, jlong table, jintArray modules, jint segments, jint rank) {
  return Guard(env, [&] {
    constexpr const char* kName = "device_table_time_image";
    const std::vector<int32_t> numbers = djl_lora::IntArray(env, kName, "modules", modules);
    const auto [embedded, given] =
        FindDeviceTable(kName, table)->TimeImage({numbers.begin(), numbers.end()}, segments, rank);
    const jdouble times[] = {embedded, given};
    jdoubleArray result = env->NewDoubleArray(2);
    if (result == nullptr) {
      throw djl_lora::PendingJavaException();
    }
    env->SetDoubleArrayRegion(result, 0, 2, times);
    return result;
  });
}

DEVICE_IMAGES(jstring, obstacle)(JNIEnv* env, jclass, jlong table) {
  return Guard(env, [&]() -> jstring {
    const std::shared_ptr<djl_lora::DeviceTable> found = FindDeviceTable("why_not_embedded", table);
    const std::string& reason = found->WhyNotEmbedded();
    return reason.empty() ? nullptr : djl_lora::JavaString(env, reason);
  });
}
// NOLINTEND(readability-inconsistent-declaration-parameter-name)
