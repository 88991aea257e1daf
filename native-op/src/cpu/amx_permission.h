// SPDX-License-Identifier: Apache-2.0
#ifndef DJL_LORA_CPU_AMX_PERMISSION_H_
#define DJL_LORA_CPU_AMX_PERMISSION_H_

namespace djl_lora {

// Asks Linux for the tile registers, which a process may use only after it has asked: the first use of them without
// leave ends the process. Threads share the answer. True when they may be used; false on other systems.
bool RequestAmx();

}  // namespace djl_lora

#endif  // DJL_LORA_CPU_AMX_PERMISSION_H_
