// SPDX-License-Identifier: Apache-2.0
//
// The operator against the machine's limits and against ATen, everything called through libtorch's dispatcher.
//   djl_lora_bench [--quick] [--only decode|prefill|linear|group|grid] [--rounds N] [--pool MB] [--threads N] [--arena]
// With --arena the adapters of a table lie behind one another in one memory, otherwise each in its own.
// Prints one JSON object a line. In each round every candidate runs once, on weights that were not touched for as long
// as the pool lasts, and beside it plain reads measure the memory; times are medians over rounds and every ratio is the
// median of the rounds' ratios; "least" compares the least times, which on a machine that others use too say more.
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "cpu/aligned_buffer.h"
#include "cpu/isa.h"
#include "machine.h"
#include "ops/table.h"
#include "torch/tensor.h"

namespace djl_lora {
namespace {

struct Options {
  bool quick = false;
  std::string only;
  int rounds = 0;
  int64_t pool_megabytes = 1024;
  int threads = omp_get_max_threads();
  bool arena = false;
};

Options options;

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

double Least(const std::vector<double>& values) { return *std::min_element(values.begin(), values.end()); }

double MedianRatio(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> ratios;
  for (size_t i = 0; i < a.size(); ++i) {
    ratios.push_back(a[i] / b[i]);
  }
  return Median(ratios);
}

using Candidate = std::function<void(int64_t round)>;

// Seconds of each candidate, by round. The first rounds do not count.
// `prepare` runs before each, untimed.
std::vector<std::vector<double>> Interleave(const std::vector<Candidate>& candidates, int rounds,
                                            const std::function<void()>& prepare) {
  std::vector<std::vector<double>> seconds(candidates.size());
  for (int round = -2; round < rounds; ++round) {
    for (size_t c = 0; c < candidates.size(); ++c) {
      const size_t i = (c + static_cast<size_t>(round + 2)) % candidates.size();  // none always follows the same other
      prepare();
      const double start = Now();
      candidates[i](round + 2);
      if (round >= 0) {
        seconds[i].push_back(Now() - start);
      }
    }
  }
  return seconds;
}

// Brings tensors into the caches, where a step finds what the operation before has just written.
void Touch(const std::vector<const Tensor*>& tensors) {
  for (const Tensor* tensor : tensors) {
    const TensorInfo info = Describe("bench", "tensor", tensor->get());
    ReadSeconds(info.As<char>(), info.numel * ElementSize(info.type), 1);
  }
}

Tensor Zeros(const std::vector<int64_t>& sizes, ElementType type) {
  Tensor tensor = Empty(sizes, type);
  const TensorInfo info = Describe("bench", "tensor", tensor.get());
  std::memset(info.data, 0, static_cast<size_t>(info.numel * ElementSize(type)));
  return tensor;
}

Tensor Numbers(const std::vector<int64_t>& sizes, ElementType type, const Pool& pool) {
  Tensor tensor = Empty(sizes, type);
  const TensorInfo info = Describe("bench", "tensor", tensor.get());
  std::memcpy(info.data, pool.data(), static_cast<size_t>(info.numel * ElementSize(type)));
  return tensor;
}

Tensor Longs(const std::vector<int64_t>& values) {
  Tensor tensor = Empty({static_cast<int64_t>(values.size())}, ElementType::kInt64);
  std::memcpy(Describe("bench", "tensor", tensor.get()).data, values.data(), values.size() * sizeof(int64_t));
  return tensor;
}

// The largest matmul's rate that libtorch reaches here, in operations a second.
double ArithmeticRate(const Pool& pool) {
  constexpr int64_t kSize = 1024;
  const Tensor a = Numbers({kSize, kSize}, ElementType::kBFloat16, pool);
  const Tensor b = Numbers({kSize, kSize}, ElementType::kBFloat16, pool);
  double best = 1e9;
  for (int i = 0; i < 20; ++i) {
    const double start = Now();
    CallForTensor("aten::linear", "", {Argument::Of(a.get()), Argument::Of(b.get()), Argument::Optional(nullptr)});
    best = std::min(best, Now() - start);
  }
  return 2.0 * kSize * kSize * kSize / best;
}

// The adapters of a step in a table, with so many layers of `outs` modules each that together they are as large as the
// pool, whose bytes they hold. A round uses one layer, as one after another of a model's would be.
class Adapters {
 public:
  Adapters(int64_t in, const std::vector<int64_t>& outs, const std::vector<int64_t>& ranks, int64_t layers,
           ElementType type, const Pool& pool) {
    const int64_t group = static_cast<int64_t>(outs.size());
    std::vector<int64_t> all_outs;
    for (int64_t m = 0; m < layers * group; ++m) {
      all_outs.push_back(outs[static_cast<size_t>(m % group)]);
    }
    const std::vector<int64_t> ins(all_outs.size(), in);
    table_ = TableCreate(Longs(ins).get(), Longs(all_outs).get(), static_cast<int64_t>(type));
    std::vector<float> ones(all_outs.size(), 1.0f);
    const Tensor scales = Wrap(ones.data(), {static_cast<int64_t>(ones.size())}, ElementType::kFloat32);
    std::vector<std::vector<int64_t>> layouts;
    std::vector<int64_t> elements;
    std::vector<int64_t> starts = {0};
    for (const int64_t rank : ranks) {
      std::vector<int64_t> layout;
      int64_t end = 0;
      for (const int64_t out : all_outs) {
        layout.insert(layout.end(), {rank, end, end + rank * in, -1, -1});
        end += rank * (in + out);
      }
      starts.push_back(starts.back() + TablePackedBytes(table_, Rows(&layout).get(), false));
      layouts.push_back(std::move(layout));
      elements.push_back(end);
    }
    Tensor arena;
    if (options.arena) {
      arena = Empty({starts.back()}, ElementType::kInt8);
      PreferHugePages(Describe("bench", "arena", arena.get()).As<char>(), starts.back());
    }
    for (size_t slot = 0; slot < ranks.size(); ++slot) {
      const Tensor weights = Wrap(pool.data(), {elements[slot]}, type);
      TablePut(table_, static_cast<int64_t>(slot), weights.get(), Rows(&layouts[slot]).get(), scales.get(),
               {arena.get(), options.arena ? starts[slot] : 0});
    }
  }
  ~Adapters() { TableClose(table_); }
  Adapters(const Adapters&) = delete;
  Adapters& operator=(const Adapters&) = delete;

  int64_t table() const { return table_; }

 private:
  static Tensor Rows(std::vector<int64_t>* layout) {
    return Wrap(layout->data(), {static_cast<int64_t>(layout->size()) / 5, 5}, ElementType::kInt64);
  }

  int64_t table_ = 0;
};

// How often weights of so many bytes fit into the pool.
int64_t LayersIn(const Pool& pool, int64_t bytes) {
  return std::max<int64_t>(1, std::min<int64_t>(pool.size() / bytes, 20000));
}

void Sgmv(const Tensor& y, const Tensor& x, const Tensor& starts, const Tensor& slots, int64_t table, int64_t module) {
  CallOperator("djl_lora::sgmv", "",
               {Argument::Of(y.get()), Argument::Of(x.get()), Argument::Optional(nullptr), Argument::Of(starts.get()),
                Argument::Of(slots.get()), Argument::Int(table), Argument::Int(module)});
}

Tensor Linear(AtenTensorHandle x, AtenTensorHandle weight) {
  return CallForTensor("aten::linear", "", {Argument::Of(x), Argument::Of(weight), Argument::Optional(nullptr)});
}

struct Shape {
  const char* group;
  int64_t in;
  int64_t out;
  std::vector<int64_t> ranks;  // of adapters in turn
  int64_t tokens;
  std::string popularity;  // identical, distinct, uniform, zipf, skewed, or segments:N
};

// How many tokens each adapter of a step has; adapters of no tokens are left out.
std::vector<int64_t> SegmentSizes(const Shape& shape) {
  const int64_t tokens = shape.tokens;
  if (shape.popularity == "identical") {
    return {tokens};
  }
  if (shape.popularity == "distinct") {
    return std::vector<int64_t>(static_cast<size_t>(tokens), 1);
  }
  if (shape.popularity.rfind("segments:", 0) == 0) {
    const int64_t segments = std::atoll(shape.popularity.c_str() + 9);
    std::vector<int64_t> sizes(static_cast<size_t>(segments), tokens / segments);
    sizes[0] += tokens % segments;
    return sizes;
  }
  constexpr int kAdapters = 64;
  std::vector<double> weights(kAdapters, 1.0);
  for (int i = 0; i < kAdapters; ++i) {
    if (shape.popularity == "zipf") {
      weights[i] = std::pow(i + 1, -1.1);
    } else if (shape.popularity == "skewed") {  // nine in ten ask for one
      weights[i] = i == 0 ? 9.0 * (kAdapters - 1) : 1.0;
    }
  }
  std::mt19937 random(7);
  std::discrete_distribution<int> choose(weights.begin(), weights.end());
  std::vector<int64_t> counts(kAdapters);
  for (int64_t t = 0; t < tokens; ++t) {
    ++counts[choose(random)];
  }
  std::vector<int64_t> sizes;
  std::copy_if(counts.begin(), counts.end(), std::back_inserter(sizes), [](int64_t count) { return count > 0; });
  return sizes;
}

// The segments of a step, whose slots are 0, 1 and so on.
struct Step {
  Tensor starts;
  Tensor slots;
};

Step MakeStep(const std::vector<int64_t>& sizes) {
  std::vector<int64_t> starts = {0};
  for (const int64_t size : sizes) {
    starts.push_back(starts.back() + size);
  }
  std::vector<int64_t> slots(sizes.size());
  std::iota(slots.begin(), slots.end(), 0);
  return {Longs(starts), Longs(slots)};
}

// The operator on one module against the limits, the loop of two matmuls per adapter and, for one token each and one
// rank, gather and bmm.
void RunShape(const Shape& shape, Pool* pool, double rate, int rounds) {
  const ElementType type = ElementType::kBFloat16;
  const int64_t size = ElementSize(type);
  const std::vector<int64_t> sizes = SegmentSizes(shape);
  const int64_t segments = static_cast<int64_t>(sizes.size());
  std::vector<int64_t> set_ranks;
  int64_t weight_elements = 0;
  double operations = 0.0;
  for (int64_t s = 0; s < segments; ++s) {
    const int64_t rank = shape.ranks[static_cast<size_t>(s) % shape.ranks.size()];
    set_ranks.push_back(rank);
    weight_elements += rank * (shape.in + shape.out);
    operations += 2.0 * static_cast<double>(sizes[s] * rank * (shape.in + shape.out));
  }
  const int64_t set_bytes = weight_elements * size;
  const int64_t vector_bytes = shape.tokens * (shape.in + 2 * shape.out) * size;
  const int64_t bytes = set_bytes + vector_bytes;
  // What must come from memory: x and y only where a core's cache has no room for them.
  const int64_t memory_bytes = vector_bytes <= (1 << 20) ? set_bytes : bytes;
  const int64_t sets = LayersIn(*pool, set_bytes);
  const Adapters adapters(shape.in, {shape.out}, set_ranks, sets, type, *pool);
  const Step step = MakeStep(sizes);
  const Tensor x = Numbers({shape.tokens, shape.in}, type, *pool);
  const Tensor y = Zeros({shape.tokens, shape.out}, type);

  std::vector<Candidate> candidates;
  std::vector<const char*> names;
  names.push_back("sgmv");
  candidates.push_back([&](int64_t round) { Sgmv(y, x, step.starts, step.slots, adapters.table(), round % sets); });
  names.push_back("read");
  const int64_t read_bytes = std::max<int64_t>(memory_bytes, 4 << 20);
  candidates.push_back([&](int64_t) { ReadSeconds(pool->Next(read_bytes), read_bytes, options.threads); });

  // The loop takes the same weights from the pool, [rank, in] and [out, rank], and leaves out the sum with y.
  std::vector<Tensor> xs;
  {
    const TensorInfo info = Describe("bench", "x", x.get());
    int64_t row = 0;
    for (const int64_t tokens : sizes) {
      xs.push_back(View(info, {tokens, shape.in}, {shape.in, 1}, row * shape.in));
      row += tokens;
    }
  }
  std::vector<std::vector<Tensor>> loop_weights;
  for (int64_t set = 0; set < sets; ++set) {
    std::vector<Tensor> weights;
    for (int64_t s = 0; s < segments; ++s) {
      weights.push_back(
          Wrap(const_cast<char*>(pool->Next(set_ranks[s] * shape.in * size)), {set_ranks[s], shape.in}, type));
      weights.push_back(
          Wrap(const_cast<char*>(pool->Next(set_ranks[s] * shape.out * size)), {shape.out, set_ranks[s]}, type));
    }
    loop_weights.push_back(std::move(weights));
  }
  names.push_back("aten_loop");
  candidates.push_back([&](int64_t round) {
    const std::vector<Tensor>& weights = loop_weights[static_cast<size_t>(round % sets)];
    for (int64_t s = 0; s < segments; ++s) {
      const Tensor down = Linear(xs[s].get(), weights[2 * s].get());
      const Tensor up = Linear(down.get(), weights[2 * s + 1].get());
    }
  });

  // Gather and bmm: banks of all adapters, [adapters, rank, in] and so on, or their transposes.
  const bool gather = shape.ranks.size() == 1 && segments == shape.tokens && segments > 1;
  Tensor bank_a;
  Tensor bank_b;
  Tensor bank_at;
  Tensor bank_bt;
  std::vector<Tensor> indices;
  const int64_t rank = shape.ranks[0];
  if (gather) {
    const int64_t count = sets * segments;
    const int64_t half = pool->size() / 2;
    bank_a = Wrap(pool->data(), {count, rank, shape.in}, type);
    bank_at = Wrap(pool->data(), {count, shape.in, rank}, type);
    char* behind = pool->data() + std::min(half, pool->size() - count * rank * shape.out * size);
    bank_b = Wrap(behind, {count, shape.out, rank}, type);
    bank_bt = Wrap(behind, {count, rank, shape.out}, type);
    for (int64_t set = 0; set < sets; ++set) {
      std::vector<int64_t> index(sizes.size());
      std::iota(index.begin(), index.end(), set * segments);
      indices.push_back(Longs(index));
    }
    const auto select = [](const Tensor& bank, const Tensor& index) {
      return CallForTensor("aten::index_select", "",
                           {Argument::Of(bank.get()), Argument::Int(0), Argument::Of(index.get())});
    };
    const auto bmm = [](const Tensor& a, const Tensor& b) {
      return CallForTensor("aten::bmm", "", {Argument::Of(a.get()), Argument::Of(b.get())});
    };
    names.push_back("gather_bmm_columns");
    candidates.push_back([&, select, bmm](int64_t round) {
      const Tensor& index = indices[static_cast<size_t>(round % sets)];
      const Tensor column = View(Describe("bench", "x", x.get()), {shape.tokens, shape.in, 1}, {shape.in, 1, 1}, 0);
      bmm(select(bank_b, index), bmm(select(bank_a, index), column));
    });
    names.push_back("gather_bmm_rows");
    candidates.push_back([&, select, bmm](int64_t round) {
      const Tensor& index = indices[static_cast<size_t>(round % sets)];
      const Tensor row = View(Describe("bench", "x", x.get()), {shape.tokens, 1, shape.in}, {shape.in, shape.in, 1}, 0);
      bmm(bmm(row, select(bank_at, index)), select(bank_bt, index));
    });
  }

  const auto seconds = Interleave(candidates, rounds, [&] { Touch({&x, &y}); });
  const std::vector<double>& own = seconds[0];
  std::vector<double> limit;
  for (const double read : seconds[1]) {
    const double memory = read * static_cast<double>(memory_bytes) / static_cast<double>(read_bytes);
    limit.push_back(std::max(memory, operations / rate));
  }
  std::string rank_text = std::to_string(rank);
  for (size_t i = 1; i < shape.ranks.size(); ++i) {
    rank_text += "," + std::to_string(shape.ranks[i]);
  }
  std::printf(
      "{\"case\":\"%s\",\"in\":%lld,\"out\":%lld,\"ranks\":\"%s\",\"tokens\":%lld,\"popularity\":\"%s\","
      "\"segments\":%lld,\"us\":%.1f,\"least_us\":%.1f,\"bytes\":%lld,\"memory_bytes\":%lld,\"flop\":%.0f,\"pool_mb\":%"
      "lld,"
      "\"read_gb_s\":%.2f,\"gb_s\":%.2f,\"gflop_s\":%.1f,\"arithmetic_gflop_s\":%.0f,\"limit\":\"%s\","
      "\"share_of_limit\":%.3f,\"share_of_limit_least\":%.3f",
      shape.group, static_cast<long long>(shape.in), static_cast<long long>(shape.out), rank_text.c_str(),
      static_cast<long long>(shape.tokens), shape.popularity.c_str(), static_cast<long long>(segments),
      Median(own) * 1e6, Least(own) * 1e6, static_cast<long long>(bytes), static_cast<long long>(memory_bytes),
      operations, static_cast<long long>(sets * set_bytes >> 20),
      static_cast<double>(read_bytes) / Median(seconds[1]) * 1e-9,
      static_cast<double>(memory_bytes) / Median(own) * 1e-9, operations / Median(own) * 1e-9, rate * 1e-9,
      operations / rate > Least(limit) * 0.999 ? "arithmetic" : "memory", MedianRatio(limit, own),
      Least(limit) / Least(own));
  for (size_t i = 2; i < seconds.size(); ++i) {
    std::printf(",\"%s_us\":%.1f,\"speedup_over_%s\":%.2f,\"speedup_least_over_%s\":%.2f", names[i],
                Median(seconds[i]) * 1e6, names[i], MedianRatio(seconds[i], own), names[i],
                Least(seconds[i]) / Least(own));
  }
  std::printf("}\n");
  std::fflush(stdout);
}

// The base product for a few rows against aten::linear on the same weights, and against plain reads.
void RunLinear(int64_t in, int64_t out, int64_t tokens, ElementType type, Pool* pool, int rounds) {
  const int64_t weight_bytes = in * out * ElementSize(type);
  const Tensor x = Numbers({tokens, in}, type, *pool);
  const auto next = [&] { return Wrap(const_cast<char*>(pool->Next(weight_bytes)), {out, in}, type); };
  const std::vector<Candidate> candidates = {
      [&](int64_t) {
        const Tensor weight = next();
        CallForTensor("djl_lora::linear_rows", "",
                      {Argument::Of(x.get()), Argument::Of(weight.get()), Argument::Optional(nullptr)});
      },
      [&](int64_t) { ReadSeconds(pool->Next(weight_bytes), weight_bytes, options.threads); },
      [&](int64_t) { Linear(x.get(), next().get()); }};
  const auto seconds = Interleave(candidates, rounds, [&] { Touch({&x}); });
  std::printf(
      "{\"case\":\"linear\",\"type\":\"%s\",\"in\":%lld,\"out\":%lld,\"tokens\":%lld,\"us\":%.1f,"
      "\"least_us\":%.1f,\"bytes\":%lld,\"read_gb_s\":%.2f,\"gb_s\":%.2f,\"share_of_bandwidth\":%.3f,"
      "\"share_of_bandwidth_least\":%.3f,\"aten_us\":%.1f,\"speedup_over_aten\":%.2f,"
      "\"speedup_least_over_aten\":%.2f}\n",
      ElementName(type), static_cast<long long>(in), static_cast<long long>(out), static_cast<long long>(tokens),
      Median(seconds[0]) * 1e6, Least(seconds[0]) * 1e6, static_cast<long long>(weight_bytes),
      static_cast<double>(weight_bytes) / Median(seconds[1]) * 1e-9,
      static_cast<double>(weight_bytes) / Median(seconds[0]) * 1e-9, MedianRatio(seconds[1], seconds[0]),
      Least(seconds[1]) / Least(seconds[0]), Median(seconds[2]) * 1e6, MedianRatio(seconds[2], seconds[0]),
      Least(seconds[2]) / Least(seconds[0]));
  std::fflush(stdout);
}

// Modules that share x in one call, against one call each.
void RunGroup(int64_t in, const std::vector<int64_t>& outs, int64_t rank, int64_t tokens, int64_t segments, Pool* pool,
              int rounds) {
  const ElementType type = ElementType::kBFloat16;
  int64_t set_bytes = 0;
  for (const int64_t out : outs) {
    set_bytes += segments * rank * (in + out) * 2;
  }
  const int64_t sets = LayersIn(*pool, set_bytes);
  const int64_t group = static_cast<int64_t>(outs.size());
  const Adapters adapters(in, outs, std::vector<int64_t>(static_cast<size_t>(segments), rank), sets, type, *pool);
  const Step step =
      MakeStep(SegmentSizes({"group", in, outs[0], {rank}, tokens, "segments:" + std::to_string(segments)}));
  const Tensor x = Numbers({tokens, in}, type, *pool);
  std::vector<Tensor> ys;
  for (const int64_t out : outs) {
    ys.push_back(Zeros({tokens, out}, type));
  }
  const auto y = [&ys](size_t i) { return Argument::Optional(i < ys.size() ? ys[i].get() : nullptr); };
  const std::vector<Candidate> candidates = {
      [&](int64_t round) {
        const int64_t m = round % sets * group;
        CallOperator("djl_lora::sgmv_group", "",
                     {Argument::Of(x.get()), Argument::Of(ys[0].get()), Argument::Optional(nullptr), Argument::Int(m),
                      y(1), Argument::Optional(nullptr), Argument::Int(m + 1), y(2), Argument::Optional(nullptr),
                      Argument::Int(m + 2), y(3), Argument::Optional(nullptr), Argument::Int(m + 3),
                      Argument::Of(step.starts.get()), Argument::Of(step.slots.get()), Argument::Optional(nullptr),
                      Argument::Optional(nullptr), Argument::Int(adapters.table())});
      },
      [&](int64_t round) {
        for (size_t g = 0; g < outs.size(); ++g) {
          Sgmv(ys[g], x, step.starts, step.slots, adapters.table(),
               (round + sets / 2) % sets * group + static_cast<int64_t>(g));
        }
      }};
  const auto seconds = Interleave(candidates, rounds, [&] { Touch({&x}); });
  std::printf(
      "{\"case\":\"group\",\"in\":%lld,\"modules\":%zu,\"rank\":%lld,\"tokens\":%lld,\"segments\":%lld,"
      "\"us\":%.1f,\"separate_us\":%.1f,\"speedup_over_separate\":%.2f,\"speedup_least\":%.2f}\n",
      static_cast<long long>(in), outs.size(), static_cast<long long>(rank), static_cast<long long>(tokens),
      static_cast<long long>(segments), Median(seconds[0]) * 1e6, Median(seconds[1]) * 1e6,
      MedianRatio(seconds[1], seconds[0]), Least(seconds[1]) / Least(seconds[0]));
  std::fflush(stdout);
}

bool Wanted(const char* name) { return options.only.empty() || options.only == name; }

int Rounds(int many, int few) { return options.rounds > 0 ? options.rounds : options.quick ? few : many; }

void RunAll() {
  Pool pool(options.pool_megabytes << 20);
  const double rate = ArithmeticRate(pool);
  {
    std::vector<double> reads;
    for (int i = 0; i < 12; ++i) {
      reads.push_back(64e6 / ReadSeconds(pool.Next(64000000), 64000000, options.threads));
    }
    std::printf(
        "{\"case\":\"machine\",\"kernels\":\"%s\",\"threads\":%d,\"read_gb_s\":%.2f,\"read_gb_s_best\":%.2f,"
        "\"arithmetic_gflop_s\":%.0f}\n",
        IsaName(ActiveIsa()), options.threads, Median(reads) * 1e-9,
        *std::max_element(reads.begin(), reads.end()) * 1e-9, rate * 1e-9);
  }
  if (Wanted("decode")) {
    RunShape({"decode", 2048, 2048, {16}, 32, "distinct"}, &pool, rate, Rounds(200, 60));
  }
  if (Wanted("prefill")) {
    RunShape({"prefill", 2048, 2048, {16}, 512, "segments:4"}, &pool, rate, Rounds(100, 40));
  }
  if (Wanted("group")) {
    RunGroup(2048, {2048, 512, 512}, 16, 1, 1, &pool, Rounds(400, 100));
    RunGroup(2048, {2048, 512, 512}, 16, 32, 32, &pool, Rounds(200, 60));
    RunGroup(2048, {2048, 512, 512}, 16, 512, 4, &pool, Rounds(100, 40));
    RunGroup(896, {4864, 4864}, 16, 8, 8, &pool, Rounds(200, 60));
  }
  if (Wanted("linear")) {
    const int64_t shapes[][2] = {{896, 896}, {896, 4864}, {4864, 896}, {2048, 2048}, {2048, 5632}, {4096, 4096}};
    for (const auto& shape : shapes) {
      for (int64_t tokens = 1; tokens <= 8; ++tokens) {
        if (!options.quick || tokens == 1 || tokens == 4) {
          RunLinear(shape[0], shape[1], tokens, ElementType::kBFloat16, &pool, Rounds(40, 15));
        }
      }
      RunLinear(shape[0], shape[1], 1, ElementType::kFloat32, &pool, Rounds(40, 15));
    }
  }
  if (Wanted("grid") && !(options.quick && options.only.empty())) {
    for (const int64_t tokens : {1, 4, 16, 64, 256, 512}) {
      for (const char* popularity : {"identical", "distinct", "uniform", "zipf", "skewed"}) {
        if (tokens <= 64 || std::strcmp(popularity, "distinct") != 0) {
          RunShape({"grid", 2048, 2048, {16}, tokens, popularity}, &pool, rate, Rounds(30, 8));
        }
      }
    }
    for (const int64_t rank : {4, 8, 32, 64, 128, 256}) {
      RunShape({"grid", 2048, 2048, {rank}, 16, "distinct"}, &pool, rate, Rounds(30, 8));
      RunShape({"grid", 2048, 2048, {rank}, 256, "segments:4"}, &pool, rate, Rounds(30, 8));
    }
    const int64_t shapes[][2] = {{896, 896},   {896, 4864},  {4864, 896},   {2048, 5632},
                                 {5632, 2048}, {4096, 4096}, {4096, 14336}, {14336, 4096}};
    for (const auto& shape : shapes) {
      RunShape({"grid", shape[0], shape[1], {16}, 16, "distinct"}, &pool, rate, Rounds(30, 8));
      RunShape({"grid", shape[0], shape[1], {16}, 256, "segments:4"}, &pool, rate, Rounds(30, 8));
    }
    RunShape({"grid", 2048, 2048, {4, 8, 16, 64, 256}, 32, "distinct"}, &pool, rate, Rounds(30, 8));
    RunShape({"grid", 2048, 2048, {4, 8, 16, 64, 256}, 512, "zipf"}, &pool, rate, Rounds(30, 8));
  }
}

bool ReadOptions(int count, char** values) {
  for (int i = 1; i < count; ++i) {
    const std::string name = values[i];
    if (name == "--quick") {
      options.quick = true;
    } else if (name == "--arena") {
      options.arena = true;
    } else if (i + 1 == count) {
      return false;
    } else if (name == "--only") {
      options.only = values[++i];
    } else if (name == "--rounds") {
      options.rounds = std::atoi(values[++i]);
    } else if (name == "--pool") {
      options.pool_megabytes = std::atoll(values[++i]);
    } else if (name == "--threads") {
      options.threads = std::atoi(values[++i]);
    } else {
      return false;
    }
  }
  return options.pool_megabytes >= 64 && options.threads >= 1;
}

}  // namespace
}  // namespace djl_lora

int main(int count, char** values) {
  if (!djl_lora::ReadOptions(count, values)) {
    std::fprintf(stderr,
                 "usage: %s [--quick] [--only decode|prefill|linear|group|grid] [--rounds N] [--pool MB] "
                 "[--threads N] [--arena]\n",
                 values[0]);
    return 2;
  }
  omp_set_num_threads(djl_lora::options.threads);
  djl_lora::RunAll();
  return 0;
}
