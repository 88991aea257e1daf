// SPDX-License-Identifier: Apache-2.0
//
// More features than a warp takes at a time.
#define DJL_LORA_RANK 5
#define DJL_LORA_HIDDEN 9224
#include "cuda/emulated_fixed.h"
