// SPDX-License-Identifier: Apache-2.0
//
// Random problems for the SGMV kernels, with the memory that they point to and a plain double-precision version of the
// formula to hold the results against.
#ifndef DJL_LORA_TEST_SGMV_CASE_H_
#define DJL_LORA_TEST_SGMV_CASE_H_

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "cpu/isa.h"
#include "cpu/layers_cpu.h"
#include "cpu/packed.h"
#include "cpu/sgmv_cpu.h"
#include "support.h"

namespace djl_lora {

// Runs a test's body with other kernels.
class WithIsa {
 public:
  explicit WithIsa(Isa isa) : before_(ActiveIsa()) { SetActiveIsa(isa); }
  ~WithIsa() { SetActiveIsa(before_); }
  WithIsa(const WithIsa&) = delete;
  WithIsa& operator=(const WithIsa&) = delete;

 private:
  Isa before_;
};

// What one adapter has for one module.
struct ModuleOptions {
  int64_t rank = 0;
  bool int8 = false;
  bool out_scale = false;
  bool bias = false;
};

template <typename T>
class SgmvCase {
 public:
  SgmvCase(int64_t in, std::vector<int64_t> outs, int64_t gap, std::mt19937* random)
      : random_(random), in_(in), outs_(std::move(outs)), gap_(gap) {}

  // One adapter, with options for each output; its number for Segment.
  size_t Adapter(const std::vector<ModuleOptions>& options) {
    std::vector<std::unique_ptr<Module>> modules;
    for (size_t g = 0; g < outs_.size(); ++g) {
      modules.push_back(MakeModule(options[g], outs_[g]));
    }
    adapters_.push_back(std::move(modules));
    return adapters_.size() - 1;
  }

  void Segment(int64_t tokens, const std::vector<size_t>& adapters, const std::vector<float>& weights) {
    const int64_t first = static_cast<int64_t>(entries_.size());
    for (size_t e = 0; e < adapters.size(); ++e) {
      SgmvEntry entry{};
      entry.weight = weights[e];
      for (size_t g = 0; g < outs_.size(); ++g) {
        entry.modules[g] = &adapters_[adapters[e]][g]->view;
      }
      entries_.push_back(entry);
      entry_adapters_.push_back(adapters[e]);
    }
    segments_.push_back({tokens_, tokens_ + tokens, first, static_cast<int64_t>(adapters.size())});
    tokens_ += tokens;
  }
  void Segment(int64_t tokens, size_t adapter) { Segment(tokens, {adapter}, {1.0f}); }
  void BaseSegment(int64_t tokens) { Segment(tokens, {}, {}); }

  void Bias(size_t output) {
    biases_.resize(outs_.size());
    biases_[output] = Random<T>(random_, outs_[output]);
  }

  void Fill() {
    biases_.resize(outs_.size());
    x_ = Random<T>(random_, tokens_ * (in_ + gap_));
    for (const int64_t out : outs_) {
      ys_.push_back(Random<T>(random_, tokens_ * (out + gap_)));
    }
  }
  // Makes every row of x and of each y the first one.
  void RepeatFirstRow() {
    const auto repeat = [this](std::vector<T>* rows, int64_t stride) {
      for (int64_t t = 1; t < tokens_; ++t) {
        std::copy(rows->begin(), rows->begin() + stride, rows->begin() + t * stride);
      }
    };
    repeat(&x_, in_ + gap_);
    for (size_t g = 0; g < outs_.size(); ++g) {
      repeat(&ys_[g], outs_[g] + gap_);
    }
  }
  std::vector<T>* x() { return &x_; }
  int64_t tokens() const { return tokens_; }

  // What another implementation needs to compute the same.
  int64_t in() const { return in_; }
  int64_t gap() const { return gap_; }
  const std::vector<int64_t>& outs() const { return outs_; }
  const std::vector<std::vector<T>>& ys() const { return ys_; }
  const std::vector<std::vector<T>>& biases() const { return biases_; }
  const std::vector<SgmvSegment>& segments() const { return segments_; }
  const std::vector<SgmvEntry>& entries() const { return entries_; }
  const std::vector<size_t>& entry_adapters() const { return entry_adapters_; }
  size_t adapters() const { return adapters_.size(); }
  // The weights of an adapter that is not in 8 bits, B as [out, rank].
  struct Weights {
    AdapterModule module;  // all but b
    std::vector<T> b;
  };
  Weights WeightsOf(size_t adapter, size_t output) const {
    const Module& module = *adapters_[adapter][output];
    Weights weights{module.view, {}};
    for (const double value : module.b) {
      weights.b.push_back(FromFloat<T>(static_cast<float>(value)));
    }
    return weights;
  }

  std::vector<std::vector<T>> Run(int threads) const {
    std::vector<std::vector<T>> ys = ys_;
    SgmvCpu(Problem(&ys), threads);
    return ys;
  }

  // The same with products of x in the place of what Fill made up: one call after the other, or all in one. With two
  // outputs of one width a third result is the gated product of both.
  std::vector<std::vector<T>> RunWithProducts(const std::vector<std::vector<T>>& weights, bool in_one,
                                              int threads) const {
    std::vector<LinearProblem> products;
    std::vector<std::vector<T>> ys = ys_;
    for (size_t g = 0; g < outs_.size(); ++g) {
      products.push_back({ElementTraits<T>::kType, tokens_, in_, outs_[g], x_.data(), in_ + gap_, weights[g].data(),
                          in_, false, nullptr, nullptr, ys[g].data(), outs_[g] + gap_});
    }
    SgmvProblem problem = Problem(&ys);
    std::vector<T> gated(outs_.size() == 2 && outs_[0] == outs_[1] ? static_cast<size_t>(tokens_ * outs_[0]) : 0);
    if (in_one) {
      problem.gated = gated.empty() ? nullptr : gated.data();
      LinearSgmvCpu(products, problem, threads);
    } else {
      LinearCpu(products, threads);
      SgmvCpu(problem, threads);
      for (int64_t t = 0; t < tokens_ && !gated.empty(); ++t) {
        SiluMulCpu({ElementTraits<T>::kType, outs_[0], ys[0].data() + t * (outs_[0] + gap_),
                    ys[1].data() + t * (outs_[1] + gap_), gated.data() + t * outs_[0]},
                   1);
      }
    }
    ys.push_back(gated);
    return ys;
  }

  // What the formula gives in double precision, and how far an output may be from it. With u = 2^-24, the unit
  // round-off of float32, M the sum of the magnitudes of all terms of an output, and each sum going through chains of
  // at most
  //   n = in / 16 + 5 (lanes, then their tree) + 2 (factors) + sum of ranks + 3 (y, out_scale, bias)
  // additions and multiplications, float32 arithmetic is off by at most n·u·M. Where the intermediate is split in two
  // bfloat16 numbers each term is off by another 2^-17. So
  //   float32         rtol 1e-5 of the value, and atol 1e-6 or n·u·M where that is more (the value may cancel out,
  //                   M does not)
  //   16 bits         sums = n·u·M + split, and one rounding: half a unit in the last place of what is rounded
  struct Expected {
    double value;
    double tolerance;
  };
  std::vector<std::vector<Expected>> Oracle() const {
    std::vector<std::vector<Expected>> all(outs_.size());
    for (size_t g = 0; g < outs_.size(); ++g) {
      all[g].resize(static_cast<size_t>(tokens_ * outs_[g]));
    }
    for (const SgmvSegment& segment : segments_) {
      for (int64_t t = segment.begin; t < segment.end; ++t) {
        for (size_t g = 0; g < outs_.size(); ++g) {
          OracleRow(segment, t, g, all[g].data() + t * outs_[g]);
        }
      }
    }
    return all;
  }

  // What lies between rows must be as it was.
  void Check(const std::vector<std::vector<T>>& actual, const std::vector<std::vector<Expected>>& expected) const {
    for (size_t g = 0; g < outs_.size(); ++g) {
      for (int64_t t = 0; t < tokens_; ++t) {
        const T* row = actual[g].data() + t * (outs_[g] + gap_);
        for (int64_t o = 0; o < outs_[g]; ++o) {
          const Expected& want = expected[g][t * outs_[g] + o];
          ASSERT_NEAR(want.value, ToFloat(row[o]), want.tolerance)
              << "output " << g << ", row " << t << ", column " << o << ", " << IsaName(ActiveIsa());
        }
        const T* before = ys_[g].data() + t * (outs_[g] + gap_);
        ASSERT_EQ(0, std::memcmp(row + outs_[g], before + outs_[g], static_cast<size_t>(gap_) * sizeof(T)))
            << "the gap after row " << t;
      }
    }
  }
  void Check(const std::vector<std::vector<T>>& actual) const { Check(actual, Oracle()); }

 private:
  SgmvProblem Problem(std::vector<std::vector<T>>* ys) const {
    SgmvProblem problem{};
    problem.type = ElementTraits<T>::kType;
    problem.in = in_;
    problem.x = x_.data();
    problem.x_stride = in_ + gap_;
    problem.output_count = static_cast<int64_t>(outs_.size());
    for (size_t g = 0; g < outs_.size(); ++g) {
      problem.outputs[g] = {outs_[g], (*ys)[g].data(), outs_[g] + gap_,
                            biases_[g].empty() ? nullptr : biases_[g].data()};
    }
    problem.segments = segments_.data();
    problem.segment_count = static_cast<int64_t>(segments_.size());
    problem.entries = entries_.data();
    return problem;
  }

  struct Module {
    std::vector<double> a;  // what the kernels multiply with, scales of components included
    std::vector<double> b;
    std::vector<char> a_memory;
    std::vector<char> b_memory;
    std::vector<float> component_scale;
    std::vector<T> out_scale;
    std::vector<T> bias;
    AdapterModule view;
  };

  template <typename W>
  void FillWeights(const std::vector<W>& a, const std::vector<W>& b, int64_t out, ElementType type, Module* module) {
    const int64_t rank = module->view.rank;
    for (const W value : a) {
      module->a.push_back(Wide(value));
    }
    for (const W value : b) {
      module->b.push_back(Wide(value));
    }
    const char* bytes = reinterpret_cast<const char*>(a.data());
    module->a_memory.assign(bytes, bytes + a.size() * sizeof(W));
    module->b_memory.resize(static_cast<size_t>(PackedBElements(type, out, rank)) * sizeof(W));
    PackB(type, b.data(), out, rank, module->b_memory.data());
    module->view.a = module->a_memory.data();
    module->view.b = module->b_memory.data();
  }

  std::unique_ptr<Module> MakeModule(const ModuleOptions& options, int64_t out) {
    auto module = std::make_unique<Module>();
    AdapterModule& view = module->view;
    const int64_t rank = options.rank;
    view.rank = rank;
    view.scale = 0.37f;
    view.int8 = options.int8;
    if (options.int8) {
      const auto bytes = [this](int64_t count) {
        std::vector<int8_t> values(static_cast<size_t>(count));
        for (int8_t& value : values) {
          value = static_cast<int8_t>(Between(random_, -128, 127));
        }
        return values;
      };
      FillWeights(bytes(rank * in_), bytes(out * rank), out, ElementType::kInt8, module.get());
      for (int64_t r = 0; r < rank; ++r) {
        module->component_scale.push_back(static_cast<float>(Between(random_, 1, 100)) * 1e-6f);
        for (int64_t i = 0; i < in_; ++i) {
          module->a[r * in_ + i] *= module->component_scale[r];
        }
      }
      view.component_scale = module->component_scale.data();
    } else {
      FillWeights(Random<T>(random_, rank * in_), Random<T>(random_, out * rank), out, ElementTraits<T>::kType,
                  module.get());
    }
    if (options.out_scale) {
      module->out_scale = Random<T>(random_, out);
      view.out_scale = module->out_scale.data();
    }
    if (options.bias) {
      module->bias = Random<T>(random_, out);
      view.bias = module->bias.data();
    }
    return module;
  }

  static double Wide(int8_t value) { return value; }
  template <typename W>
  static double Wide(W value) {
    return ToFloat(value);
  }

  void OracleRow(const SgmvSegment& segment, int64_t t, size_t g, Expected* row) const {
    const int64_t out = outs_[g];
    const T* x = x_.data() + t * (in_ + gap_);
    const T* y = ys_[g].data() + t * (out + gap_);
    std::vector<double> value(static_cast<size_t>(out));
    std::vector<double> magnitude(static_cast<size_t>(out));
    for (int64_t o = 0; o < out; ++o) {
      value[o] = ToFloat(y[o]);
      magnitude[o] = std::abs(value[o]);
    }
    int64_t ranks = 0;
    for (int64_t e = 0; e < segment.entry_count; ++e) {
      const SgmvEntry& entry = entries_[segment.first_entry + e];
      const Module& module = *adapters_[entry_adapters_[segment.first_entry + e]][g];
      const double factor = static_cast<double>(entry.weight) * module.view.scale;
      const int64_t rank = module.view.rank;
      ranks += rank;
      for (int64_t r = 0; r < rank; ++r) {
        double down = 0.0;
        double down_magnitude = 0.0;
        for (int64_t i = 0; i < in_; ++i) {
          const double term = module.a[r * in_ + i] * ToFloat(x[i]);
          down += term;
          down_magnitude += std::abs(term);
        }
        for (int64_t o = 0; o < out; ++o) {
          value[o] += factor * module.b[o * rank + r] * down;
          magnitude[o] += std::abs(factor * module.b[o * rank + r]) * down_magnitude;
        }
      }
    }
    const Module* only = segment.entry_count == 1 ? adapters_[entry_adapters_[segment.first_entry]][g].get() : nullptr;
    const std::vector<T>* bias = only != nullptr && !only->bias.empty() ? &only->bias : &biases_[g];
    for (int64_t o = 0; o < out; ++o) {
      if (only != nullptr && !only->out_scale.empty()) {
        value[o] *= ToFloat(only->out_scale[o]);
        magnitude[o] *= std::abs(ToFloat(only->out_scale[o]));
      }
      if (!bias->empty()) {
        value[o] += ToFloat((*bias)[o]);
        magnitude[o] += std::abs(ToFloat((*bias)[o]));
      }
      const double chain = static_cast<double>(in_ / 16 + 10 + ranks);
      row[o] = {value[o], Tolerance(value[o], chain * 0x1p-24 * magnitude[o], magnitude[o])};
    }
  }

  static double Tolerance(double value, double sums, double magnitude) {
    if (ElementTraits<T>::kType == ElementType::kFloat32) {
      return 1e-5 * std::abs(value) + std::max(1e-6, sums);
    }
    const double all = sums + 0x1p-17 * magnitude;
    return all + (std::abs(value) + all) * ElementTraits<T>::kHalfUlp + ElementTraits<T>::kTiny;
  }

  std::mt19937* random_;
  int64_t in_;
  std::vector<int64_t> outs_;
  int64_t gap_;
  int64_t tokens_ = 0;
  std::vector<std::vector<std::unique_ptr<Module>>> adapters_;  // by output
  std::vector<SgmvSegment> segments_;
  std::vector<SgmvEntry> entries_;
  std::vector<size_t> entry_adapters_;
  std::vector<T> x_;
  std::vector<std::vector<T>> ys_;
  std::vector<std::vector<T>> biases_;
};

}  // namespace djl_lora

#endif  // DJL_LORA_TEST_SGMV_CASE_H_
