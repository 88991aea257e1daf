// SPDX-License-Identifier: Apache-2.0
//
// What tests ask of the emulated driver beside CUDA's functions. They may be called at any time and by any thread.
#ifndef DJL_LORA_TEST_EMULATED_CUDA_CONTROL_H_
#define DJL_LORA_TEST_EMULATED_CUDA_CONTROL_H_

#include <cstdint>

#define DJL_LORA_EMULATED_EXPORT extern "C" __attribute__((visibility("default")))

// Sets how many devices there are and what they are; at first that is one of compute capability 9.0 with 1 GiB. For
// devices that somebody uses already only the memory changes.
DJL_LORA_EMULATED_EXPORT void emulated_cuda_configure(int32_t devices, int32_t major, int32_t minor, int64_t bytes);

// How much memory of the host may be pinned or registered; without a limit at first.
DJL_LORA_EMULATED_EXPORT void emulated_cuda_limit_pinned(int64_t bytes);

// Makes the next calls of a function, by its symbol (cuMemAlloc_v2), fail with a code.
DJL_LORA_EMULATED_EXPORT void emulated_cuda_fail(const char* function, int32_t code, int32_t times);

// Makes every copy that is queued from now on take that long at least.
DJL_LORA_EMULATED_EXPORT void emulated_cuda_slow_copies(int64_t nanoseconds);

// Stops a stream (0 is the current context's default stream) behind what it has been given so far, until it is let go:
// so a test shows what waits for a stream and what does not, however fast the machine is.
DJL_LORA_EMULATED_EXPORT void emulated_cuda_hold(int64_t stream);
DJL_LORA_EMULATED_EXPORT void emulated_cuda_let_go(int64_t stream);

// How many there are, alive: "allocations", "allocated bytes", "pinned", "pinned bytes", "registered",
// "registered bytes", "streams", "events", "modules", "contexts" (retained); or were, since the library was loaded:
// "launches", "copies", "copied bytes", "pageable copies" (from or to memory that was not pinned). -1 for any other
// name.
DJL_LORA_EMULATED_EXPORT int64_t emulated_cuda_count(const char* what);

#endif  // DJL_LORA_TEST_EMULATED_CUDA_CONTROL_H_
