// SPDX-License-Identifier: Apache-2.0
#include "ops/attention.h"

#include <cmath>

#include "common/errors.h"
#include "cpu/attention_cpu.h"

namespace djl_lora {

namespace {

long long Long(int64_t value) { return static_cast<long long>(value); }

// Pages for activations like the given ones.
Pages DescribePages(const char* operation, const PagesArgument& argument, const TensorInfo& activations) {
  const TensorInfo keys = Describe(operation, "keys", argument.keys);
  const TensorInfo values = Describe(operation, "values", argument.values);
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
TensorInfo Heads(const char* operation, const char* name, AtenTensorHandle handle, const Pages& pages) {
  TensorInfo info = Describe(operation, name, handle);
  RequireType(operation, info, pages.type);
  RequireDim(operation, info, 3);
  RequireDenseLast(operation, info);
  if (info.sizes[2] != pages.dim) {
    Refuse("%s: %s is %s, but heads in pages have %lld components", operation, name, info.Text().c_str(),
           Long(pages.dim));
  }
  return info;
}

TensorInfo Indices(const char* operation, const char* name, AtenTensorHandle handle) {
  return DescribeFlat(operation, name, handle, ElementType::kInt64);
}

void RequireQueryHeads(const char* operation, const TensorInfo& q, const Pages& pages) {
  if (q.sizes[1] < 1 || q.sizes[1] % pages.heads != 0) {
    Refuse("%s: q is %s, but its heads must be a multiple of the pages' %lld", operation, q.Text().c_str(),
           Long(pages.heads));
  }
}

// Starts of parts of something with `total` elements: from 0, rising, to the total.
void RequireStarts(const char* operation, const TensorInfo& starts, int64_t parts, int64_t total) {
  if (starts.numel != parts + 1) {
    Refuse("%s: %s is %s, but %lld sequences take [%lld]", operation, starts.name, starts.Text().c_str(), Long(parts),
           Long(parts + 1));
  }
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

}  // namespace

Tensor PagedAttention(const AttentionArguments& arguments, int threads) {
  constexpr const char* kName = "paged_attention";
  const Pages pages = DescribePages(kName, arguments.pages, Describe(kName, "q", arguments.q));
  const TensorInfo q = Heads(kName, "q", arguments.q, pages);
  RequireQueryHeads(kName, q, pages);
  const TensorInfo row_starts = Indices(kName, "row_starts", arguments.row_starts);
  const TensorInfo lengths = Indices(kName, "lengths", arguments.lengths);
  const TensorInfo page_starts = Indices(kName, "page_starts", arguments.page_starts);
  const TensorInfo page_table = Indices(kName, "page_table", arguments.page_table);
  const int64_t sequences = lengths.numel;
  RequireStarts(kName, row_starts, sequences, q.sizes[0]);
  RequireStarts(kName, page_starts, sequences, page_table.numel);
  for (int64_t i = 0; i < page_table.numel; ++i) {
    const int64_t page = page_table.As<int64_t>()[i];
    if (page < 0 || page >= pages.count) {
      Refuse("%s: page_table[%lld] is %lld, but there are %lld pages", kName, Long(i), Long(page), Long(pages.count));
    }
  }
  for (int64_t s = 0; s < sequences; ++s) {
    const int64_t rows = row_starts.As<int64_t>()[s + 1] - row_starts.As<int64_t>()[s];
    const int64_t room = (page_starts.As<int64_t>()[s + 1] - page_starts.As<int64_t>()[s]) * pages.positions;
    const int64_t length = lengths.As<int64_t>()[s];
    if (length < rows || length > room) {
      Refuse("%s: lengths[%lld] is %lld, but it must be %lld (its rows) to %lld (its pages' room)", kName, Long(s),
             Long(length), Long(rows), Long(room));
    }
  }
  if (arguments.window < 0 || !std::isfinite(arguments.scale)) {
    Refuse("%s: window is %lld and scale is %g, but the window must not be negative and the scale be finite", kName,
           Long(arguments.window), arguments.scale);
  }
  Tensor result = Empty({q.sizes[0], q.sizes[1], q.sizes[2]}, q.type);
  if (q.sizes[0] > 0) {
    AttentionCpu({pages, q.sizes[1], q.data, q.strides[0], q.strides[1], sequences, row_starts.As<int64_t>(),
                  lengths.As<int64_t>(), page_starts.As<int64_t>(), page_table.As<int64_t>(), arguments.window,
                  static_cast<float>(arguments.scale), Describe(kName, "result", result.get()).data},
                 threads);
  }
  return result;
}

void KvWrite(const KvWriteArguments& arguments, int threads) {
  constexpr const char* kName = "kv_write";
  const Pages pages = DescribePages(kName, arguments.pages, Describe(kName, "k", arguments.k));
  const TensorInfo k = Heads(kName, "k", arguments.k, pages);
  const TensorInfo v = Heads(kName, "v", arguments.v, pages);
  const TensorInfo places = Indices(kName, "places", arguments.places);
  const int64_t tokens = k.sizes[0];
  if (v.sizes[0] != tokens || places.numel != tokens || k.sizes[1] != pages.heads || v.sizes[1] != pages.heads) {
    Refuse("%s: k is %s, v is %s and places is %s, but all must have as many tokens, and k and v %lld heads", kName,
           k.Text().c_str(), v.Text().c_str(), places.Text().c_str(), Long(pages.heads));
  }
  const bool turned = arguments.cos != nullptr;
  if (turned != (arguments.sin != nullptr) || (arguments.q != nullptr && !turned)) {
    Refuse("%s: cos and sin must be given together, and with q", kName);
  }
  TensorInfo q;
  TensorInfo tables[2];
  if (turned) {
    if (pages.dim % 2 != 0) {
      Refuse("%s: heads have %lld components, but only an even number can be turned", kName, Long(pages.dim));
    }
    tables[0] = Describe(kName, "cos", arguments.cos);
    tables[1] = Describe(kName, "sin", arguments.sin);
    for (const TensorInfo& table : tables) {
      RequireType(kName, table, ElementType::kFloat32);
      RequireContiguous(kName, table);
      if (table.dim != 2 || table.sizes[0] != tokens || table.sizes[1] != pages.dim / 2) {
        Refuse("%s: %s is %s, but k %s takes [%lld, %lld]", kName, table.name, table.Text().c_str(), k.Text().c_str(),
               Long(tokens), Long(pages.dim / 2));
      }
    }
  }
  if (arguments.q != nullptr) {
    q = Heads(kName, "q", arguments.q, pages);
    RequireQueryHeads(kName, q, pages);
    if (q.sizes[0] != tokens || q.strides[0] < q.sizes[1] * q.strides[1] || q.strides[1] < pages.dim) {
      Refuse("%s: q is %s with strides %s, but k %s takes as many tokens, and its rows must not overlap", kName,
             q.Text().c_str(), ShapeText(q.strides, q.dim).c_str(), k.Text().c_str());
    }
    RequireSeparate(kName, q, k);
    RequireSeparate(kName, q, v);
  }
  for (const AtenTensorHandle written : {arguments.pages.keys, arguments.pages.values}) {
    const TensorInfo info = Describe(kName, "pages", written);
    RequireSeparate(kName, info, k);
    RequireSeparate(kName, info, v);
  }
  for (int64_t i = 0; i < tokens; ++i) {
    const int64_t place = places.As<int64_t>()[i];
    if (place < 0 || place >= pages.count * pages.positions) {
      Refuse("%s: places[%lld] is %lld, but there are %lld", kName, Long(i), Long(place),
             Long(pages.count * pages.positions));
    }
  }
  KvWriteCpu({pages, tokens, q.handle == nullptr ? 0 : q.sizes[1], q.data, q.handle == nullptr ? 0 : q.strides[0],
              q.handle == nullptr ? 0 : q.strides[1], k.data, k.strides[0], k.strides[1], v.data, v.strides[0],
              v.strides[1], tables[0].As<float>(), tables[1].As<float>(), places.As<int64_t>()},
             threads);
}

}  // namespace djl_lora
