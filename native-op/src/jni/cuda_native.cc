// SPDX-License-Identifier: Apache-2.0
//
// The native methods of ai.djl.lora.jni.CudaNative; their contracts are that class's Javadoc.
#include "common/errors.h"
#include "cuda/driver.h"
#include "cuda/images.h"
#include "cuda/self_test.h"
#include "cuda/torch_stream.h"
#include "jni/jni_support.h"

// The prototypes that javac wrote, so that a method whose arguments differ between the two sides does not compile.
#if defined(__has_include)
#if __has_include("ai_djl_lora_jni_CudaNative.h")
#include "ai_djl_lora_jni_CudaNative.h"
#endif
#endif

namespace djl_lora {

namespace {

// In every image there is, whatever else a build has.
constexpr const char* kModule = "self_test";

jobjectArray JavaStrings(JNIEnv* env, const std::vector<std::string>& texts) {
  jclass type = env->FindClass("java/lang/String");
  jobjectArray array = type == nullptr ? nullptr : env->NewObjectArray(static_cast<jsize>(texts.size()), type, nullptr);
  if (array == nullptr) {
    throw PendingJavaException();
  }
  for (size_t i = 0; i < texts.size(); ++i) {
    jstring text = JavaString(env, texts[i]);
    if (text == nullptr) {
      throw PendingJavaException();
    }
    env->SetObjectArrayElement(array, static_cast<jsize>(i), text);
    env->DeleteLocalRef(text);
  }
  return array;
}

}  // namespace

}  // namespace djl_lora

// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name)
using djl_lora::Guard;

#define CUDA_NATIVE(type, name) extern "C" JNIEXPORT type JNICALL Java_ai_djl_lora_jni_CudaNative_##name

CUDA_NATIVE(jint, toolkit)(JNIEnv*, jclass) { return djl_lora::EmbeddedImages().toolkit; }

CUDA_NATIVE(jobjectArray, targets)(JNIEnv* env, jclass) {
  return Guard(env, [&] {
    const djl_lora::ImageTable& table = djl_lora::EmbeddedImages();
    std::vector<std::string> targets;
    for (size_t i = 0; i < table.count; ++i) {
      if (std::string(djl_lora::kModule) == table.images[i].module) {
        targets.emplace_back(table.images[i].target);
      }
    }
    return djl_lora::JavaStrings(env, targets);
  });
}

CUDA_NATIVE(jstring, targetFor)(JNIEnv* env, jclass, jint major, jint minor) {
  return Guard(env, [&]() -> jstring {
    const std::vector<const djl_lora::Image*> images =
        djl_lora::SuitableImages(djl_lora::EmbeddedImages(), djl_lora::kModule, major, minor);
    return images.empty() ? nullptr : djl_lora::JavaString(env, images[0]->target);
  });
}

CUDA_NATIVE(jboolean, torchHasCuda)(JNIEnv* env, jclass) {
  return Guard(env, [] { return static_cast<jboolean>(djl_lora::TorchHasCuda() ? JNI_TRUE : JNI_FALSE); });
}

CUDA_NATIVE(jint, driverVersion)(JNIEnv* env, jclass) {
  return Guard(env, [] { return static_cast<jint>(djl_lora::RequireDriver().version()); });
}

CUDA_NATIVE(jobjectArray, deviceNames)(JNIEnv* env, jclass) {
  return Guard(env, [&] {
    std::vector<std::string> names;
    for (const djl_lora::DeviceInfo& device : djl_lora::RequireDriver().devices()) {
      names.push_back(device.name);
    }
    return djl_lora::JavaStrings(env, names);
  });
}

CUDA_NATIVE(jlongArray, deviceFigures)(JNIEnv* env, jclass, jint index) {
  return Guard(env, [&] {
    const djl_lora::DeviceInfo& device = djl_lora::RequireDriver().device(index);
    const jlong figures[] = {device.major, device.minor, device.memory_bytes, device.multiprocessors};
    jlongArray result = env->NewLongArray(4);
    if (result == nullptr) {
      throw djl_lora::PendingJavaException();
    }
    env->SetLongArrayRegion(result, 0, 4, figures);
    return result;
  });
}

CUDA_NATIVE(void, offerImage)(JNIEnv* env, jclass, jint device, jstring module, jbyteArray image) {
  constexpr const char* kName = "offerImage";
  Guard(env, [&] {
    if (module == nullptr || image == nullptr) {
      djl_lora::Refuse("%s: %s is null", kName, module == nullptr ? "module" : "image");
    }
    const jsize size = env->GetArrayLength(image);
    if (size == 0) {
      djl_lora::Refuse("%s: image has no bytes", kName);
    }
    std::vector<char> bytes(static_cast<size_t>(size) + 1);  // with a zero behind it
    env->GetByteArrayRegion(image, 0, size, reinterpret_cast<jbyte*>(bytes.data()));
    const char* name = env->GetStringUTFChars(module, nullptr);
    if (name == nullptr) {
      throw djl_lora::PendingJavaException();
    }
    const std::string text(name);
    env->ReleaseStringUTFChars(module, name);
    djl_lora::ProcessKernels().Offer(djl_lora::RequireDriver().device(device), text, std::move(bytes));
  });
}

CUDA_NATIVE(jstring, selfTest)(JNIEnv* env, jclass, jint device) {
  return Guard(env, [&] {
    return djl_lora::JavaString(env,
                                djl_lora::RunSelfTest(djl_lora::RequireDriver(), &djl_lora::ProcessKernels(), device));
  });
}
// NOLINTEND(readability-inconsistent-declaration-parameter-name)
