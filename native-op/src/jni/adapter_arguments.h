// SPDX-License-Identifier: Apache-2.0
//
// Arrays of Java's that describe adapters and groups of modules, as the operators' arguments.
#ifndef DJL_LORA_JNI_ADAPTER_ARGUMENTS_H_
#define DJL_LORA_JNI_ADAPTER_ARGUMENTS_H_

#include <cstdint>
#include <vector>

#include "jni/jni_support.h"
#include "ops/sgmv_targets.h"

namespace djl_lora {

// A tensor [modules, TableShape::kLayoutColumns] over the values, which must outlive it.
Tensor LayoutTensor(const char* operation, std::vector<int64_t>* values);

// The modules of a group from arrays of one length.
std::vector<SgmvTarget> Targets(JNIEnv* env, const char* operation, const char* ys_name, jlongArray ys,
                                jlongArray biases, jintArray modules);

}  // namespace djl_lora

#endif  // DJL_LORA_JNI_ADAPTER_ARGUMENTS_H_
