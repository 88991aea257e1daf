// SPDX-License-Identifier: Apache-2.0
//
// Small layers of a transformer as calls on tensors, checked before any memory is touched.
#ifndef DJL_LORA_OPS_LAYERS_H_
#define DJL_LORA_OPS_LAYERS_H_

#include "cuda/layer_device.h"
#include "torch/tensor.h"

namespace djl_lora {

// Each function computes where its first tensor lies, on the CPU or on a CUDA device, and there must the others be. On
// a device the work goes to libtorch's current stream, with float16 or bfloat16, and only ArgmaxRows waits for it.

// x [..., size] normalised by its root mean square, times weight [size]. With a delta of x's shape, that is added to x
// in place first.
Tensor RmsNorm(AtenTensorHandle x, AtenTensorHandle delta, AtenTensorHandle weight, double epsilon, int threads);

// silu(gate) · up, all of one shape.
Tensor SiluMul(AtenTensorHandle gate, AtenTensorHandle up, int threads);

// The greatest element of each row of x [rows, columns], float32: the lowest index where there are several, -1 where
// the row holds NaN or positive infinity, -2 where it holds nothing above negative infinity. Written to indices, one
// for each row.
void ArgmaxRows(AtenTensorHandle x, int64_t* indices, int64_t count, int threads);

// The same on a given device; float32 there in x of ArgmaxRowsOn alone.
Tensor RmsNormOn(const LayerDevice& device, AtenTensorHandle x, AtenTensorHandle delta, AtenTensorHandle weight,
                 double epsilon);
Tensor SiluMulOn(const LayerDevice& device, AtenTensorHandle gate, AtenTensorHandle up);
void ArgmaxRowsOn(const LayerDevice& device, AtenTensorHandle x, int64_t* indices, int64_t count);

}  // namespace djl_lora

#endif  // DJL_LORA_OPS_LAYERS_H_
