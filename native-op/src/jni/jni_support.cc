// SPDX-License-Identifier: Apache-2.0
#include "jni/jni_support.h"

namespace djl_lora {

void ThrowJava(JNIEnv* env, const char* class_name, const char* message) {
  if (env->ExceptionCheck()) {
    return;
  }
  jclass type = env->FindClass(class_name);
  if (type != nullptr) {  // else NoClassDefFoundError is pending
    env->ThrowNew(type, message);
    env->DeleteLocalRef(type);
  }
}

std::vector<int64_t> LongArray(JNIEnv* env, const char* operation, const char* name, jlongArray array) {
  static_assert(sizeof(jlong) == sizeof(int64_t));
  if (array == nullptr) {
    Refuse("%s: %s is null", operation, name);
  }
  std::vector<int64_t> values(static_cast<size_t>(env->GetArrayLength(array)));
  env->GetLongArrayRegion(array, 0, static_cast<jsize>(values.size()), reinterpret_cast<jlong*>(values.data()));
  if (env->ExceptionCheck()) {
    throw PendingJavaException();
  }
  return values;
}

std::vector<int32_t> IntArray(JNIEnv* env, const char* operation, const char* name, jintArray array) {
  static_assert(sizeof(jint) == sizeof(int32_t));
  if (array == nullptr) {
    Refuse("%s: %s is null", operation, name);
  }
  std::vector<int32_t> values(static_cast<size_t>(env->GetArrayLength(array)));
  env->GetIntArrayRegion(array, 0, static_cast<jsize>(values.size()), reinterpret_cast<jint*>(values.data()));
  if (env->ExceptionCheck()) {
    throw PendingJavaException();
  }
  return values;
}

std::vector<float> FloatArray(JNIEnv* env, const char* operation, const char* name, jfloatArray array) {
  if (array == nullptr) {
    Refuse("%s: %s is null", operation, name);
  }
  std::vector<float> values(static_cast<size_t>(env->GetArrayLength(array)));
  env->GetFloatArrayRegion(array, 0, static_cast<jsize>(values.size()), values.data());
  if (env->ExceptionCheck()) {
    throw PendingJavaException();
  }
  return values;
}

std::vector<int64_t> Shape(JNIEnv* env, const char* operation, jlongArray shape, ElementType type) {
  constexpr size_t kMostDimensions = 16;
  std::vector<int64_t> sizes = LongArray(env, operation, "shape", shape);
  if (sizes.size() > kMostDimensions) {
    Refuse("%s: shape has %zu dimensions, but at most %zu are allowed", operation, sizes.size(), kMostDimensions);
  }
  int64_t bytes = ElementSize(type);
  for (const int64_t size : sizes) {
    if (size < 0) {
      Refuse("%s: shape is %s, but no size may be negative", operation,
             ShapeText(sizes.data(), static_cast<int64_t>(sizes.size())).c_str());
    }
    if (__builtin_mul_overflow(bytes, size > 0 ? size : 1, &bytes)) {
      Refuse("%s: shape is %s, which is more bytes than a long holds", operation,
             ShapeText(sizes.data(), static_cast<int64_t>(sizes.size())).c_str());
    }
  }
  return sizes;
}

ElementType TypeArgument(const char* operation, jint type) {
  if (type < 0 || type > static_cast<jint>(ElementType::kFloat64)) {
    Refuse("%s: element type %d is not one of 0 (float32) to 8 (float64)", operation, static_cast<int>(type));
  }
  return static_cast<ElementType>(type);
}

DirectMemory DirectBuffer(JNIEnv* env, const char* operation, const char* name, jobject buffer) {
  if (buffer == nullptr) {
    Refuse("%s: %s is null", operation, name);
  }
  char* data = static_cast<char*>(env->GetDirectBufferAddress(buffer));
  const jlong capacity = env->GetDirectBufferCapacity(buffer);
  if (capacity < 0 || (data == nullptr && capacity > 0)) {
    Refuse("%s: %s is not a direct buffer", operation, name);
  }
  return {data, capacity};
}

jstring JavaString(JNIEnv* env, const std::string& text) { return env->NewStringUTF(text.c_str()); }

}  // namespace djl_lora
