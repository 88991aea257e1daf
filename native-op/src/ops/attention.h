// SPDX-License-Identifier: Apache-2.0
//
// djl_lora::paged_attention and djl_lora::kv_write: what they take, checked before any memory is touched.
#ifndef DJL_LORA_OPS_ATTENTION_H_
#define DJL_LORA_OPS_ATTENTION_H_

#include "cuda/layer_device.h"
#include "torch/tensor.h"

namespace djl_lora {

// Each function computes where its first tensor (k of KvWrite) lies, on the CPU or on a CUDA device, and there must all
// others be, the plan as well. On a device the work goes to libtorch's current stream, which nobody waits for; types
// are float16 and bfloat16, in pages too; and since the host does not see what the plan's tensors hold, it is checked
// where it is used: what is wrong there makes rows NaN and is neither read nor written through.

// The pages of one layer, both of one type, which is that of all floating-point arguments; or int8 with dim + 2 in
// dim's place, which holds the scales as Pages in cpu/attention_cpu.h says.
struct PagesArgument {
  AtenTensorHandle keys;    // [pages, heads, dim, positions], contiguous, positions a multiple of 16
  AtenTensorHandle values;  // [pages, heads, positions, dim], contiguous
};

struct AttentionArguments {
  AtenTensorHandle q;  // [tokens, query heads, dim], the last dimension without gaps
  PagesArgument pages;
  AtenTensorHandle row_starts;   // int64 [sequences + 1]: from 0 to tokens, rising
  AtenTensorHandle lengths;      // int64 [sequences]: positions of the sequence, its rows last
  AtenTensorHandle page_starts;  // int64 [sequences + 1]: from 0 to the size of page_table, rising
  AtenTensorHandle page_table;   // int64 [any]: enough pages for each sequence's length
  int64_t window;                // the newest positions that a row sees; 0 for all
  double scale;
};

// Returns [tokens, query heads, dim], contiguous.
Tensor PagedAttention(const AttentionArguments& arguments, int threads);

struct KvWriteArguments {
  AtenTensorHandle q;  // [tokens, query heads, dim], turned in place; or null
  AtenTensorHandle k;  // [tokens, heads, dim]
  AtenTensorHandle v;
  AtenTensorHandle cos;  // float32 [tokens, dim / 2], contiguous; null, with sin and q, to write keys as they are
  AtenTensorHandle sin;
  PagesArgument pages;
  AtenTensorHandle places;  // int64 [tokens]: page · positions + position in the page, none twice
};

void KvWrite(const KvWriteArguments& arguments, int threads);

// The same on a given device.
Tensor PagedAttentionOn(const LayerDevice& device, const AttentionArguments& arguments);
// A place outside the pages is written nowhere, and its row of q is NaN.
void KvWriteOn(const LayerDevice& device, const KvWriteArguments& arguments);

}  // namespace djl_lora

#endif  // DJL_LORA_OPS_ATTENTION_H_
