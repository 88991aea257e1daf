// SPDX-License-Identifier: Apache-2.0
//
// What libtorch_cuda.so tells of streams. With DJL_LORA_FAKE_LACKING it lacks the function, as before libtorch 2.7.
#include <cstdint>

#if !defined(DJL_LORA_FAKE_LACKING)
extern "C" __attribute__((visibility("default"))) int32_t aoti_torch_get_current_cuda_stream(int32_t device_index,
                                                                                             void** stream) {
  *stream = reinterpret_cast<void*>(static_cast<intptr_t>(0x100 + device_index));
  return 0;
}
#endif
