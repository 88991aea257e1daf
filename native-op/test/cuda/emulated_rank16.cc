// SPDX-License-Identifier: Apache-2.0
//
// Features that the warps share evenly, and no rank to spare.
#define DJL_LORA_RANK 16
#define DJL_LORA_HIDDEN 4096
#include "cuda/emulated_fixed.h"
