// SPDX-License-Identifier: Apache-2.0
#include "jni/adapter_arguments.h"

#include "common/errors.h"

namespace djl_lora {

Tensor LayoutTensor(const char* operation, std::vector<int64_t>* values) {
  constexpr int64_t kColumns = TableShape::kLayoutColumns;
  const int64_t count = static_cast<int64_t>(values->size());
  if (count % kColumns != 0) {
    Refuse("%s: layout has %lld values, but it must have %lld for each module", operation,
           static_cast<long long>(count), static_cast<long long>(kColumns));
  }
  return Wrap(values->data(), {count / kColumns, kColumns}, ElementType::kInt64);
}

std::vector<SgmvTarget> Targets(JNIEnv* env, const char* operation, const char* ys_name, jlongArray ys,
                                jlongArray biases, jintArray modules) {
  const std::vector<int64_t> y = LongArray(env, operation, ys_name, ys);
  const std::vector<int64_t> bias = LongArray(env, operation, "biasesOrZero", biases);
  const std::vector<int32_t> module = IntArray(env, operation, "modules", modules);
  if (y.size() != module.size() || bias.size() != module.size()) {
    Refuse("%s: %s has %zu values, biasesOrZero %zu and modules %zu, but they must have the same length", operation,
           ys_name, y.size(), bias.size(), module.size());
  }
  std::vector<SgmvTarget> targets;
  for (size_t i = 0; i < module.size(); ++i) {
    targets.push_back({ToHandle(y[i]), ToHandle(bias[i]), module[i]});
  }
  return targets;
}

}  // namespace djl_lora
