// SPDX-License-Identifier: Apache-2.0
//
// The operators of the namespace djl_lora. Loading this library registers them with libtorch, in a JVM or in Python.
#ifndef DJL_LORA_OPS_REGISTER_H_
#define DJL_LORA_OPS_REGISTER_H_

#include <string>

namespace djl_lora {

// What went wrong when the operators were registered; empty when nothing did.
const std::string& RegistrationError();

}  // namespace djl_lora

#endif  // DJL_LORA_OPS_REGISTER_H_
