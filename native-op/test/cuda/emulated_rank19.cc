// SPDX-License-Identifier: Apache-2.0
//
// Features and ranks of which something is left over wherever they are shared or loaded many at once.
#define DJL_LORA_RANK 19
#define DJL_LORA_HIDDEN 1096
#include "cuda/emulated_fixed.h"
