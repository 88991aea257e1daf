// SPDX-License-Identifier: Apache-2.0
//
// What every native method needs: Java exceptions for C++ ones, and arrays and strings copied in and out.
#ifndef DJL_LORA_JNI_JNI_SUPPORT_H_
#define DJL_LORA_JNI_JNI_SUPPORT_H_

#include <jni.h>

#include <cstdint>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include "common/errors.h"
#include "torch/tensor.h"

namespace djl_lora {

// A Java exception is pending already; the native method only has to return.
class PendingJavaException : public std::exception {};

void ThrowJava(JNIEnv* env, const char* class_name, const char* message);

// Runs the body of a native method. An ArgumentError becomes an IllegalArgumentException, anything that libtorch failed
// at ai.djl.engine.EngineException, and no C++ exception reaches the JVM.
template <typename Body>
auto Guard(JNIEnv* env, const Body& body) -> decltype(body()) {
  using Result = decltype(body());
  try {
    return body();
  } catch (const PendingJavaException&) {
  } catch (const ArgumentError& refused) {
    ThrowJava(env, "java/lang/IllegalArgumentException", refused.what());
  } catch (const std::bad_alloc&) {
    ThrowJava(env, "java/lang/OutOfMemoryError", "djl_lora: no native memory left");
  } catch (const std::exception& failed) {
    ThrowJava(env, "ai/djl/engine/EngineException", failed.what());
  } catch (...) {
    ThrowJava(env, "ai/djl/engine/EngineException", "djl_lora: an unknown native failure");
  }
  return Result();
}

inline AtenTensorHandle ToHandle(jlong handle) { return reinterpret_cast<AtenTensorHandle>(handle); }
inline jlong ToJava(Tensor tensor) { return reinterpret_cast<jlong>(tensor.release()); }

// Copies of Java arrays; refuse null.
std::vector<int64_t> LongArray(JNIEnv* env, const char* operation, const char* name, jlongArray array);
std::vector<int32_t> IntArray(JNIEnv* env, const char* operation, const char* name, jintArray array);
std::vector<float> FloatArray(JNIEnv* env, const char* operation, const char* name, jfloatArray array);

// A shape from Java: no negative size, at most 16 dimensions, and a number of bytes that a long holds.
std::vector<int64_t> Shape(JNIEnv* env, const char* operation, jlongArray shape, ElementType type);

ElementType TypeArgument(const char* operation, jint type);

// The memory of a direct buffer, all of its capacity.
struct DirectMemory {
  char* data;
  int64_t capacity;
};
DirectMemory DirectBuffer(JNIEnv* env, const char* operation, const char* name, jobject buffer);

jstring JavaString(JNIEnv* env, const std::string& text);

}  // namespace djl_lora

#endif  // DJL_LORA_JNI_JNI_SUPPORT_H_
