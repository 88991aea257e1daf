// SPDX-License-Identifier: Apache-2.0
#include "ops/attention.h"

#include <algorithm>
#include <climits>
#include <cmath>

#include "common/errors.h"
#include "cpu/attention_cpu.h"

namespace djl_lora {

namespace {

long long Long(int64_t value) { return static_cast<long long>(value); }

// Pages for activations like the given ones.
Pages DescribePages(const char* operation, const PagesArgument& argument, const TensorInfo& activations,
                    const TensorPlace& place) {
  const TensorInfo keys = Describe(operation, "keys", argument.keys, place);
  const TensorInfo values = Describe(operation, "values", argument.values, place);
  RequireKernelType(operation, activations);
  const bool int8 = keys.type == ElementType::kInt8;
  if (!int8) {
    RequireType(operation, keys, activations.type);
  }
  RequireType(operation, values, keys.type);
  for (const TensorInfo* pages : {&keys, &values}) {
    RequireDim(operation, *pages, 4);
    RequireContiguous(operation, *pages);
  }
  const int64_t dim = keys.sizes[2] - (int8 ? kScaleBytes : 0);
  const int64_t positions = keys.sizes[3];
  if (values.sizes[0] != keys.sizes[0] || values.sizes[1] != keys.sizes[1] || values.sizes[2] != positions ||
      values.sizes[3] != keys.sizes[2]) {
    Refuse(
        "%s: keys is %s and values is %s, but they must be [pages, heads, dim, positions] and [pages, heads, "
        "positions, dim]",
        operation, keys.Text().c_str(), values.Text().c_str());
  }
  if (keys.sizes[1] < 1 || dim < 1 || dim > kMostHeadDim || positions < 1 || positions % kPageUnit != 0) {
    Refuse("%s: keys is %s, but it needs a head, 1 to %lld components and a multiple of %lld positions", operation,
           keys.Text().c_str(), Long(kMostHeadDim), Long(kPageUnit));
  }
  RequireSeparate(operation, keys, values);
  return {activations.type, keys.sizes[0], keys.sizes[1], dim, positions, keys.data, values.data, int8};
}

// [tokens, heads, dim] beside pages.
TensorInfo Heads(const char* operation, const char* name, AtenTensorHandle handle, const Pages& pages,
                 const TensorPlace& place) {
  TensorInfo info = Describe(operation, name, handle, place);
  RequireType(operation, info, pages.type);
  RequireDim(operation, info, 3);
  RequireDenseLast(operation, info);
  if (info.sizes[2] != pages.dim) {
    Refuse("%s: %s is %s, but heads in pages have %lld components", operation, name, info.Text().c_str(),
           Long(pages.dim));
  }
  return info;
}

TensorInfo Indices(const char* operation, const char* name, AtenTensorHandle handle, const TensorPlace& place) {
  return DescribeFlat(operation, name, handle, ElementType::kInt64, place);
}

void RequireQueryHeads(const char* operation, const TensorInfo& q, const Pages& pages) {
  if (q.sizes[1] < 1 || q.sizes[1] % pages.heads != 0) {
    Refuse("%s: q is %s, but its heads must be a multiple of the pages' %lld", operation, q.Text().c_str(),
           Long(pages.heads));
  }
}

// Starts of that many parts.
void RequireParts(const char* operation, const TensorInfo& starts, int64_t parts) {
  if (starts.numel != parts + 1) {
    Refuse("%s: %s is %s, but %lld sequences take [%lld]", operation, starts.name, starts.Text().c_str(), Long(parts),
           Long(parts + 1));
  }
}

// Starts of parts of something with `total` elements: from 0, rising, to the total.
void RequireStarts(const char* operation, const TensorInfo& starts, int64_t parts, int64_t total) {
  const auto* values = starts.As<int64_t>();
  for (int64_t i = 0; i <= parts; ++i) {
    const bool right =
        (i > 0 || values[0] == 0) && (i == 0 || values[i] >= values[i - 1]) && (i < parts || values[parts] == total);
    if (!right) {
      Refuse("%s: %s[%lld] is %lld, but starts must rise from 0 to %lld", operation, starts.name, Long(i),
             Long(values[i]), Long(total));
    }
  }
}

struct AttentionCall {
  Pages pages;
  TensorInfo q;
  TensorInfo row_starts;
  TensorInfo lengths;
  TensorInfo page_starts;
  TensorInfo page_table;
};

// All but what the plan's tensors hold.
AttentionCall CheckAttention(const AttentionArguments& arguments, const TensorPlace& place) {
  constexpr const char* kName = "paged_attention";
  AttentionCall call{
      DescribePages(kName, arguments.pages, Describe(kName, "q", arguments.q, place), place), {}, {}, {}, {}, {}};
  call.q = Heads(kName, "q", arguments.q, call.pages, place);
  RequireQueryHeads(kName, call.q, call.pages);
  call.row_starts = Indices(kName, "row_starts", arguments.row_starts, place);
  call.lengths = Indices(kName, "lengths", arguments.lengths, place);
  call.page_starts = Indices(kName, "page_starts", arguments.page_starts, place);
  call.page_table = Indices(kName, "page_table", arguments.page_table, place);
  RequireParts(kName, call.row_starts, call.lengths.numel);
  RequireParts(kName, call.page_starts, call.lengths.numel);
  if (arguments.window < 0 || !std::isfinite(arguments.scale)) {
    Refuse("%s: window is %lld and scale is %g, but the window must not be negative and the scale be finite", kName,
           Long(arguments.window), arguments.scale);
  }
  return call;
}

// What a kernel on a device takes of pages.
void RequireDevicePages(const char* operation, const TensorInfo& activations, const Pages& pages) {
  RequireDeviceType(operation, activations);
  if (pages.int8) {
    Refuse("%s: keys and values are int8, which kernels on a device do not take; they must be %s", operation,
           ElementName(pages.type));
  }
  if (pages.positions > INT_MAX / kMostHeadDim || pages.heads > INT_MAX) {
    Refuse("%s: pages have %lld heads and %lld positions, which is too much for a kernel on a device", operation,
           Long(pages.heads), Long(pages.positions));
  }
}

// Heads are an axis of the grid.
void RequireGrid(const char* operation, const TensorInfo& activations, int64_t heads, const Pages& pages) {
  if (activations.sizes[0] > INT_MAX / 2 || heads + pages.heads > cuda::kMaxGridY) {
    Refuse("%s: %lld rows of %lld query heads and %lld heads are too many for a kernel on a device", operation,
           Long(activations.sizes[0]), Long(heads), Long(pages.heads));
  }
}

}  // namespace

Tensor PagedAttention(const AttentionArguments& arguments, int threads) {
  constexpr const char* kName = "paged_attention";
  const TensorPlace place = PlaceOf(arguments.q);
  if (place.cuda) {
    return PagedAttentionOn(CudaLayerDevice(place.device), arguments);
  }
  const AttentionCall call = CheckAttention(arguments, kOnCpu);
  const Pages& pages = call.pages;
  const TensorInfo& q = call.q;
  const auto* row_starts = call.row_starts.As<int64_t>();
  const auto* lengths = call.lengths.As<int64_t>();
  const auto* page_starts = call.page_starts.As<int64_t>();
  const auto* page_table = call.page_table.As<int64_t>();
  const int64_t sequences = call.lengths.numel;
  RequireStarts(kName, call.row_starts, sequences, q.sizes[0]);
  RequireStarts(kName, call.page_starts, sequences, call.page_table.numel);
  for (int64_t i = 0; i < call.page_table.numel; ++i) {
    if (page_table[i] < 0 || page_table[i] >= pages.count) {
      Refuse("%s: page_table[%lld] is %lld, but there are %lld pages", kName, Long(i), Long(page_table[i]),
             Long(pages.count));
    }
  }
  for (int64_t s = 0; s < sequences; ++s) {
    const int64_t rows = row_starts[s + 1] - row_starts[s];
    const int64_t room = (page_starts[s + 1] - page_starts[s]) * pages.positions;
    if (lengths[s] < rows || lengths[s] > room) {
      Refuse("%s: lengths[%lld] is %lld, but it must be %lld (its rows) to %lld (its pages' room)", kName, Long(s),
             Long(lengths[s]), Long(rows), Long(room));
    }
  }
  Tensor result = Empty({q.sizes[0], q.sizes[1], q.sizes[2]}, q.type);
  if (q.sizes[0] > 0) {
    AttentionCpu(
        {pages, q.sizes[1], q.data, q.strides[0], q.strides[1], sequences, row_starts, lengths, page_starts, page_table,
         arguments.window, static_cast<float>(arguments.scale), Describe(kName, "result", result.get()).data},
        threads);
  }
  return result;
}

namespace {

struct KvWriteCall {
  Pages pages;
  TensorInfo q;  // data is null without queries
  TensorInfo k;
  TensorInfo v;
  TensorInfo cos;  // data is null, and of sin, to turn nothing
  TensorInfo sin;
  TensorInfo places;
};

// All but the places themselves.
KvWriteCall CheckKvWrite(const KvWriteArguments& arguments, const TensorPlace& place) {
  constexpr const char* kName = "kv_write";
  KvWriteCall call{
      DescribePages(kName, arguments.pages, Describe(kName, "k", arguments.k, place), place), {}, {}, {}, {}, {}, {}};
  const Pages& pages = call.pages;
  call.k = Heads(kName, "k", arguments.k, pages, place);
  call.v = Heads(kName, "v", arguments.v, pages, place);
  call.places = Indices(kName, "places", arguments.places, place);
  const TensorInfo& k = call.k;
  const TensorInfo& v = call.v;
  const int64_t tokens = k.sizes[0];
  if (v.sizes[0] != tokens || call.places.numel != tokens || k.sizes[1] != pages.heads || v.sizes[1] != pages.heads) {
    Refuse("%s: k is %s, v is %s and places is %s, but all must have as many tokens, and k and v %lld heads", kName,
           k.Text().c_str(), v.Text().c_str(), call.places.Text().c_str(), Long(pages.heads));
  }
  const bool turned = arguments.cos != nullptr;
  if (turned != (arguments.sin != nullptr) || (arguments.q != nullptr && !turned)) {
    Refuse("%s: cos and sin must be given together, and with q", kName);
  }
  if (turned) {
    if (pages.dim % 2 != 0) {
      Refuse("%s: heads have %lld components, but only an even number can be turned", kName, Long(pages.dim));
    }
    call.cos = Describe(kName, "cos", arguments.cos, place);
    call.sin = Describe(kName, "sin", arguments.sin, place);
    for (const TensorInfo* table : {&call.cos, &call.sin}) {
      RequireType(kName, *table, ElementType::kFloat32);
      RequireContiguous(kName, *table);
      if (table->dim != 2 || table->sizes[0] != tokens || table->sizes[1] != pages.dim / 2) {
        Refuse("%s: %s is %s, but k %s takes [%lld, %lld]", kName, table->name, table->Text().c_str(), k.Text().c_str(),
               Long(tokens), Long(pages.dim / 2));
      }
    }
  }
  if (arguments.q != nullptr) {
    call.q = Heads(kName, "q", arguments.q, pages, place);
    const TensorInfo& q = call.q;
    RequireQueryHeads(kName, q, pages);
    if (q.sizes[0] != tokens || q.strides[0] < q.sizes[1] * q.strides[1] || q.strides[1] < pages.dim) {
      Refuse("%s: q is %s with strides %s, but k %s takes as many tokens, and its rows must not overlap", kName,
             q.Text().c_str(), ShapeText(q.strides, q.dim).c_str(), k.Text().c_str());
    }
    RequireSeparate(kName, q, k);
    RequireSeparate(kName, q, v);
  }
  for (const AtenTensorHandle written : {arguments.pages.keys, arguments.pages.values}) {
    const TensorInfo info = Describe(kName, "pages", written, place);
    RequireSeparate(kName, info, k);
    RequireSeparate(kName, info, v);
  }
  return call;
}

}  // namespace

void KvWrite(const KvWriteArguments& arguments, int threads) {
  constexpr const char* kName = "kv_write";
  const TensorPlace place = PlaceOf(arguments.k);
  if (place.cuda) {
    KvWriteOn(CudaLayerDevice(place.device), arguments);
    return;
  }
  const KvWriteCall call = CheckKvWrite(arguments, kOnCpu);
  const TensorInfo& q = call.q;
  const int64_t tokens = call.k.sizes[0];
  for (int64_t i = 0; i < tokens; ++i) {
    const int64_t at = call.places.As<int64_t>()[i];
    if (at < 0 || at >= call.pages.count * call.pages.positions) {
      Refuse("%s: places[%lld] is %lld, but there are %lld", kName, Long(i), Long(at),
             Long(call.pages.count * call.pages.positions));
    }
  }
  KvWriteCpu(
      {call.pages, tokens, q.handle == nullptr ? 0 : q.sizes[1], q.data, q.handle == nullptr ? 0 : q.strides[0],
       q.handle == nullptr ? 0 : q.strides[1], call.k.data, call.k.strides[0], call.k.strides[1], call.v.data,
       call.v.strides[0], call.v.strides[1], call.cos.As<float>(), call.sin.As<float>(), call.places.As<int64_t>()},
      threads);
}

void KvWriteOn(const LayerDevice& device, const KvWriteArguments& arguments) {
  constexpr const char* kName = "kv_write";
  const KvWriteCall call = CheckKvWrite(arguments, device.place());
  const Pages& pages = call.pages;
  RequireDevicePages(kName, call.k, pages);
  RequireGrid(kName, call.k, call.q.handle == nullptr ? 0 : call.q.sizes[1], pages);
  if (call.k.sizes[0] == 0) {
    return;
  }
  cuda::KvWriteParams params{};
  if (call.q.handle != nullptr) {
    params.q = call.q.data;
    params.q_token_stride = call.q.strides[0];
    params.q_head_stride = call.q.strides[1];
    params.heads = static_cast<int>(call.q.sizes[1]);
  }
  params.k = call.k.data;
  params.k_token_stride = call.k.strides[0];
  params.k_head_stride = call.k.strides[1];
  params.v = call.v.data;
  params.v_token_stride = call.v.strides[0];
  params.v_head_stride = call.v.strides[1];
  params.cos = call.cos.As<float>();
  params.sin = call.sin.As<float>();
  params.places = call.places.As<long long>();
  params.keys = pages.keys;
  params.values = pages.values;
  params.pages = pages.count;
  params.tokens = static_cast<int>(call.k.sizes[0]);
  params.kv_heads = static_cast<int>(pages.heads);
  params.dim = static_cast<int>(pages.dim);
  params.positions = static_cast<int>(pages.positions);
  device.Launch(pages.type, cuda::LaunchOf(params));
}

Tensor PagedAttentionOn(const LayerDevice& device, const AttentionArguments& arguments) {
  constexpr const char* kName = "paged_attention";
  const TensorPlace place = device.place();
  const AttentionCall call = CheckAttention(arguments, place);
  const Pages& pages = call.pages;
  const TensorInfo& q = call.q;
  RequireDevicePages(kName, q, pages);
  RequireGrid(kName, q, q.sizes[1], pages);
  const int64_t sequences = call.lengths.numel;
  const int64_t room = call.page_table.numel > INT_MAX ? INT64_MAX : call.page_table.numel * pages.positions;
  const int64_t rows = q.sizes[0] * q.sizes[1] + sequences;
  if (room > INT_MAX / 2 || rows > INT_MAX / 2 || sequences > INT_MAX / 2 || pages.count > INT_MAX) {
    Refuse("%s: q %s, %lld sequences and page_table %s are too large for a kernel on a device", kName, q.Text().c_str(),
           Long(sequences), call.page_table.Text().c_str());
  }
  Tensor result = Empty({q.sizes[0], q.sizes[1], q.sizes[2]}, q.type, place);
  if (q.sizes[0] == 0) {
    return result;
  }
  cuda::AttentionParams params{};
  params.q = q.data;
  params.q_token_stride = q.strides[0];
  params.q_head_stride = q.strides[1];
  params.keys = pages.keys;
  params.values = pages.values;
  params.row_starts = call.row_starts.As<long long>();
  params.lengths = call.lengths.As<long long>();
  params.page_starts = call.page_starts.As<long long>();
  params.page_table = call.page_table.As<long long>();
  params.result = Describe(kName, "result", result.get(), place).data;
  params.scale = static_cast<float>(arguments.scale * 1.4426950408889634);  // powers are of 2 there
  params.window = arguments.window == 0 ? INT_MAX : static_cast<int>(std::min<int64_t>(arguments.window, INT_MAX));
  params.pages = static_cast<int>(pages.count);
  params.table = static_cast<int>(call.page_table.numel);
  params.tokens = static_cast<int>(q.sizes[0]);
  params.sequences = static_cast<int>(sequences);
  params.dim = static_cast<int>(pages.dim);
  params.positions = static_cast<int>(pages.positions);
  cuda::Divide(static_cast<int>(q.sizes[1]), static_cast<int>(pages.heads), &params);
  Tensor partial;  // given back when the launches are made: libtorch reuses it behind them in the stream
  const int64_t size = cuda::PartialSize(params);
  if (size > 0) {
    partial = Empty({size}, ElementType::kFloat32, place);
    params.partial = Describe(kName, "partial", partial.get(), place).As<float>();
  }
  for (const cuda::LayerLaunch& launch : cuda::Launches(params)) {
    device.Launch(q.type, launch);
  }
  return result;
}

}  // namespace djl_lora
