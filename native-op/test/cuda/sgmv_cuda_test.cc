// SPDX-License-Identifier: Apache-2.0
//
// The CUDA kernels of SGMV under the emulator, against a plain double-precision version of the formula.
#include <cstring>
#include <limits>
#include <memory>

#include "cuda/device_layout.h"
#include "cuda/emulated_kernels.h"
#include "cuda/kernels/abi.h"
#include "cuda/sgmv_launches.h"
#include "sgmv_case.h"

namespace djl_lora {
namespace {

using cuda::DeviceError;
using cuda::DeviceModule;
using cuda::SgmvParams;
using cuda::SgmvPath;

constexpr SgmvPath kPaths[] = {SgmvPath::kFused, SgmvPath::kDecode, SgmvPath::kTiles};

const char* Name(SgmvPath path) {
  return path == SgmvPath::kFused ? "fused" : path == SgmvPath::kDecode ? "decode" : "tiles";
}

// Memory on a boundary, as cudaMalloc and tensors have it.
class Memory {
 public:
  explicit Memory(size_t bytes) : bytes_(bytes), memory_(new char[bytes + cuda::kPartAlignment]) {}
  char* data() const { return memory_.get() + (-reinterpret_cast<uintptr_t>(memory_.get()) % cuda::kPartAlignment); }
  size_t bytes() const { return bytes_; }

 private:
  size_t bytes_;
  std::unique_ptr<char[]> memory_;
};

// A case as a call of the kernels. What is on the device lies in the host's memory here.
template <typename T>
class DeviceCase {
 public:
  explicit DeviceCase(const SgmvCase<T>& test) : ys_(test.ys()), biases_(test.biases()) {
    const int64_t outputs = static_cast<int64_t>(test.outs().size());
    for (size_t adapter = 0; adapter < test.adapters(); ++adapter) {
      for (size_t g = 0; g < test.outs().size(); ++g) {
        PutModule(test, adapter, g);
      }
    }
    starts_.push_back(0);
    entry_starts_.push_back(0);
    bool stacked = false;
    int max_rank = 4;
    for (const SgmvSegment& segment : test.segments()) {
      starts_.push_back(segment.end);
      int64_t ranks[kMaxGroup] = {};
      for (int64_t e = segment.first_entry; e < segment.first_entry + segment.entry_count; ++e) {
        slots_.push_back(static_cast<long long>(test.entry_adapters()[e]));
        weights_.push_back(test.entries()[e].weight);
        stacked = stacked || segment.entry_count > 1 || weights_.back() != 1.0f;
        for (int64_t g = 0; g < outputs; ++g) {
          ranks[g] += test.entries()[e].modules[g]->rank;
          max_rank = std::max(max_rank, static_cast<int>(ranks[g]));
        }
      }
      single_.push_back(segment.entry_count == 0 ? -1 : slots_.back());
      entry_starts_.push_back(static_cast<long long>(slots_.size()));
    }
    x_ = *const_cast<SgmvCase<T>&>(test).x();
    params_.x = x_.data();
    params_.in = static_cast<int>(test.in());
    params_.x_stride = test.in() + test.gap();
    params_.tokens = static_cast<int>(test.tokens());
    params_.segments = static_cast<int>(test.segments().size());
    params_.outputs = static_cast<int>(outputs);
    for (int g = 0; g < params_.outputs; ++g) {
      params_.output[g] = {ys_[g].data(), test.outs()[g] + test.gap(), biases_[g].empty() ? nullptr : biases_[g].data(),
                           static_cast<int>(test.outs()[g]), g};
    }
    params_.segment_starts = starts_.data();
    params_.slots = stacked ? slots_.data() : single_.data();
    params_.entry_starts = stacked ? entry_starts_.data() : nullptr;
    params_.entry_weights = stacked ? weights_.data() : nullptr;
    params_.entries = static_cast<int>(stacked ? slots_.size() : single_.size());
    params_.table = table_.data();
    params_.table_slots = static_cast<int>(test.adapters());
    params_.table_modules = params_.outputs;
    params_.error = &error_;
    params_.max_rank = max_rank;
  }

  bool stacked() const { return params_.entry_starts != nullptr; }
  SgmvParams& params() { return params_; }
  std::vector<DeviceModule>& table() { return table_; }
  std::vector<long long>& slots() { return params_.entry_starts != nullptr ? slots_ : single_; }
  std::vector<long long>& starts() { return starts_; }
  std::vector<float>& weights() { return weights_; }
  const DeviceError& error() const { return error_; }

  using RunKernel = decltype(&cuda::RunEmulated);
  std::vector<std::vector<T>> Run(SgmvPath path, uint64_t seed, RunKernel run = cuda::RunEmulated) {
    const std::vector<std::vector<T>> before = ys_;
    params_.splits = cuda::Splits(path, params_.in);
    std::vector<float> partial(static_cast<size_t>(cuda::PartialSize(path, params_)),
                               std::numeric_limits<float>::quiet_NaN());
    params_.partial = partial.data();
    for (const cuda::KernelLaunch& launch : cuda::Launches(path, params_)) {
      run(launch, ElementTraits<T>::kType, params_, seed);
    }
    std::vector<std::vector<T>> after = before;
    for (size_t g = 0; g < ys_.size(); ++g) {
      std::copy(ys_[g].begin(), ys_[g].end(), after[g].begin());
      std::copy(before[g].begin(), before[g].end(), ys_[g].begin());  // in place: the kernels have its address
    }
    return after;
  }

 private:
  void PutModule(const SgmvCase<T>& test, size_t adapter, size_t g) {
    const auto weights = test.WeightsOf(adapter, g);
    const AdapterModule& module = weights.module;
    const cuda::ModuleWeights source{test.in(),
                                     test.outs()[g],
                                     module.rank,
                                     static_cast<const uint16_t*>(module.a),
                                     reinterpret_cast<const uint16_t*>(weights.b.data()),
                                     static_cast<const uint16_t*>(module.out_scale),
                                     static_cast<const uint16_t*>(module.bias),
                                     module.scale};
    memory_.emplace_back(static_cast<size_t>(cuda::DeviceModuleBytes(source)));
    table_.push_back(
        cuda::PackDeviceModule(source, memory_.back().data(), reinterpret_cast<uint64_t>(memory_.back().data())));
  }

  std::vector<T> x_;
  std::vector<std::vector<T>> ys_;
  std::vector<std::vector<T>> biases_;
  std::vector<Memory> memory_;
  std::vector<DeviceModule> table_;
  std::vector<long long> starts_;
  std::vector<long long> entry_starts_;
  std::vector<long long> slots_;
  std::vector<long long> single_;
  std::vector<float> weights_;
  DeviceError error_{};
  SgmvParams params_{};
};

template <typename T>
class SgmvCudaTest : public testing::Test {
 protected:
  bool Chance(int64_t one_in) { return Between(&random_, 1, one_in) == 1; }

  int64_t Rank() {
    constexpr int64_t kRanks[] = {0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 33, 64, 70};
    return kRanks[Between(&random_, 0, 12)];
  }

  std::unique_ptr<SgmvCase<T>> RandomCase(bool stacks) {
    const size_t outputs = Chance(2) ? 1 : static_cast<size_t>(Between(&random_, 2, kMaxGroup));
    std::vector<int64_t> outs;
    for (size_t g = 0; g < outputs; ++g) {
      outs.push_back(Chance(2) ? Between(&random_, 1, 5) * 8 : Between(&random_, 1, 300));
    }
    const bool aligned = Chance(2);  // or rows that cannot be loaded 16 bytes at a time
    const int64_t in = aligned ? Between(&random_, 1, 20) * 8 : Between(&random_, 1, 150);
    auto test = std::make_unique<SgmvCase<T>>(in, outs, aligned ? 8 * Between(&random_, 0, 1) : Between(&random_, 0, 5),
                                              &random_);
    const int64_t adapters = Between(&random_, 1, 4);
    for (int64_t i = 0; i < adapters; ++i) {
      std::vector<ModuleOptions> options;
      for (size_t g = 0; g < outputs; ++g) {
        options.push_back({Rank(), false, !stacks && Chance(4), !stacks && Chance(4)});
      }
      test->Adapter(options);
    }
    for (int64_t s = Between(&random_, 1, 4); s > 0; --s) {
      const int64_t tokens = Chance(4) ? Between(&random_, 16, 80) : Between(&random_, 0, 5);
      const auto any = [&] { return static_cast<size_t>(Between(&random_, 0, adapters - 1)); };
      if (Chance(4)) {
        test->BaseSegment(tokens);
      } else if (stacks) {
        std::vector<size_t> stack;
        std::vector<float> weights;
        for (int64_t e = Between(&random_, 1, 3); e > 0; --e) {
          stack.push_back(any());
          weights.push_back(static_cast<float>(Between(&random_, -8, 8)) / 4.0f);
        }
        test->Segment(tokens, stack, weights);
      } else {
        test->Segment(tokens, any());
      }
    }
    for (size_t g = 0; g < outputs; ++g) {
      if (Chance(2)) {
        test->Bias(g);
      }
    }
    test->Fill();
    return test;
  }

  std::mt19937 random_{20261121};
};

using Types = testing::Types<BFloat16, Float16>;
TYPED_TEST_SUITE(SgmvCudaTest, Types);

template <typename T>
bool SameBits(const std::vector<std::vector<T>>& a, const std::vector<std::vector<T>>& b) {
  for (size_t g = 0; g < a.size(); ++g) {
    if (std::memcmp(a[g].data(), b[g].data(), a[g].size() * sizeof(T)) != 0) {
      return false;
    }
  }
  return true;
}

TYPED_TEST(SgmvCudaTest, AgreesWithTheFormulaOverRandomCases) {
  // 12 cases of each type on each path.
  for (int round = 0; round < 12; ++round) {
    const auto test = this->RandomCase(round % 3 == 0);
    const auto expected = test->Oracle();
    DeviceCase<TypeParam> call(*test);
    for (const SgmvPath path : kPaths) {
      if (path == SgmvPath::kFused && call.stacked()) {
        continue;
      }
      test->Check(call.Run(path, static_cast<uint64_t>(round)), expected);
      if (testing::Test::HasFatalFailure()) {
        FAIL() << "in round " << round << ", " << Name(path);
      }
      ASSERT_EQ(cuda::kNoError, call.error().code);
    }
  }
}

TYPED_TEST(SgmvCudaTest, AddsUpManyPartsOfTheFeaturesAndRanks) {
  // More features than one block takes, and more ranks than fit into shared memory at a time.
  SgmvCase<TypeParam> test(1096, {264, 40}, 8, &this->random_);
  const size_t wide = test.Adapter({{100}, {66}});
  const size_t narrow = test.Adapter({{16}, {8}});
  test.Segment(3, wide);
  test.Segment(1, narrow);
  test.BaseSegment(1);
  test.Segment(17, wide);
  test.Fill();
  const auto expected = test.Oracle();
  DeviceCase<TypeParam> call(test);
  for (const SgmvPath path : kPaths) {
    SCOPED_TRACE(Name(path));
    test.Check(call.Run(path, 1), expected);
  }
}

TYPED_TEST(SgmvCudaTest, TakesSegmentsAsTheyAreWhereThereIsOneRowEach) {
  SgmvCase<TypeParam> test(72, {40}, 0, &this->random_);
  const size_t adapters[] = {test.Adapter({{8}}), test.Adapter({{3, false, true, true}}), test.Adapter({{0}})};
  test.Segment(1, adapters[0]);
  test.Segment(2, adapters[1]);
  test.Segment(0, adapters[0]);
  test.Segment(1, adapters[2]);
  test.BaseSegment(1);
  test.Bias(0);
  test.Fill();
  const auto expected = test.Oracle();
  DeviceCase<TypeParam> call(test);
  ASSERT_EQ(call.params().segments, call.params().tokens);
  for (const SgmvPath path : kPaths) {
    SCOPED_TRACE(Name(path));
    test.Check(call.Run(path, 1), expected);
    ASSERT_EQ(cuda::kNoError, call.error().code);
  }
}

TYPED_TEST(SgmvCudaTest, GivesTheSameBitsInWhateverOrderThreadsRun) {
  SgmvCase<TypeParam> test(264, {72, 33}, 0, &this->random_);
  const size_t one = test.Adapter({{20}, {16}});
  const size_t two = test.Adapter({{5, false, true, true}, {0, false, false, true}});
  test.Segment(18, one);
  test.Segment(2, two);
  test.Segment(1, one);
  test.Fill();
  DeviceCase<TypeParam> call(test);
  for (const SgmvPath path : kPaths) {
    const auto first = call.Run(path, 1);
    for (uint64_t seed = 2; seed < 4; ++seed) {
      ASSERT_TRUE(SameBits(first, call.Run(path, seed))) << Name(path) << ", seed " << seed;
    }
  }
}

TYPED_TEST(SgmvCudaTest, GivesARowTheSameBitsAmongOthersAndAlone) {
  SgmvCase<TypeParam> together(136, {48}, 0, &this->random_);
  const size_t one = together.Adapter({{20}});
  const size_t two = together.Adapter({{64}});
  together.Segment(5, two);
  together.Segment(7, one);
  together.Segment(20, two);
  together.Fill();
  together.RepeatFirstRow();
  DeviceCase<TypeParam> call(together);
  for (const SgmvPath path : kPaths) {
    const auto rows = call.Run(path, 1);
    const auto row = [&](int64_t t) { return std::vector<TypeParam>(&rows[0][t * 48], &rows[0][t * 48] + 48); };
    const auto same = [&](int64_t a, int64_t b) {
      return std::memcmp(row(a).data(), row(b).data(), 48 * sizeof(TypeParam)) == 0;
    };
    for (int64_t t = 1; t < 5; ++t) {
      EXPECT_TRUE(same(0, t)) << Name(path);
    }
    for (int64_t t = 12; t < 32; ++t) {
      EXPECT_TRUE(same(0, t)) << Name(path) << ", row " << t;
    }
    EXPECT_TRUE(same(5, 11)) << Name(path);
    EXPECT_FALSE(same(0, 5)) << "other adapters give other rows";
  }
}

// Images that were compiled for one shape give the same bits as any other, for segments of that shape and of others in
// one call, and for modules of another number of inputs.
TYPED_TEST(SgmvCudaTest, ImagesOfOneShapeGiveTheSameBits) {
  const auto compare = [](const cuda::FixedImage& image, const SgmvCase<TypeParam>& test) {
    DeviceCase<TypeParam> call(test);
    for (const SgmvPath path : {SgmvPath::kFused, SgmvPath::kDecode}) {
      if (path == SgmvPath::kDecode || !call.stacked()) {
        EXPECT_TRUE(SameBits(call.Run(path, 1), call.Run(path, 2, image.run)))
            << Name(path) << ", rank " << image.rank << ", " << test.in() << " inputs";
        EXPECT_EQ(cuda::kNoError, call.error().code);
      }
    }
  };
  for (const cuda::FixedImage& image : {cuda::kFixedImageRank5, cuda::kFixedImageRank16, cuda::kFixedImageRank19}) {
    for (const int in : {image.in, 40}) {
      // one row beside two of another rank in one of the modules; more outputs than the warps have at first
      SgmvCase<TypeParam> test(in, {in == 4096 ? 4136 : 300, 33}, 8, &this->random_);
      test.Segment(1, test.Adapter({{image.rank}, {image.rank}}));
      test.Segment(2, test.Adapter({{image.rank, false, true, true}, {image.rank + 1}}));
      test.Bias(1);
      test.Fill();
      compare(image, test);
    }
  }
  // several rows, more than a block takes at a time, and rows where a block takes what comes
  SgmvCase<TypeParam> rows(cuda::kFixedImageRank19.in, {72}, 0, &this->random_);
  const size_t adapter = rows.Adapter({{19}});
  rows.Segment(18, adapter);
  rows.BaseSegment(1);
  for (int i = 0; i < 18; ++i) {
    rows.Segment(0, adapter);
  }
  rows.Fill();
  compare(cuda::kFixedImageRank19, rows);
  // stacks, and rows that are not on boundaries of 16 bytes
  for (const int gap : {0, 3}) {
    SgmvCase<TypeParam> stacks(cuda::kFixedImageRank19.in, {2080}, gap, &this->random_);
    const size_t member = stacks.Adapter({{19}});
    stacks.Segment(1, {member}, {0.5f});
    stacks.Segment(1, {member, member}, {1.0f, -2.0f});
    stacks.Fill();
    compare(cuda::kFixedImageRank19, stacks);
  }
}

// What a plan or a table can have wrong. The rows that it concerns are NaN, the others as they should be.
TYPED_TEST(SgmvCudaTest, ReportsWhatIsWrongAndGivesNaNForItsRowsAlone) {
  SgmvCase<TypeParam> test(64, {40, 24}, 0, &this->random_);
  const size_t good = test.Adapter({{8}, {4}});
  const size_t bad = test.Adapter({{16}, {16}});
  test.Segment(3, good);
  test.Segment(2, bad);
  test.Segment(4, good);
  test.Fill();
  const auto expected = test.Oracle();
  struct Mistake {
    const char* name;
    int code;
    int segment;
    int value;
    int64_t first;  // rows that are NaN
    int64_t last;
    void (*make)(DeviceCase<TypeParam>* call);
  };
  const Mistake mistakes[] = {
      {"a slot outside the table", cuda::kBadSlot, 1, 2, 3, 5, [](auto* call) { call->slots()[1] = 2; }},
      {"a slot below -1", cuda::kBadSlot, 1, -7, 3, 5, [](auto* call) { call->slots()[1] = -7; }},
      {"an empty slot", cuda::kNoAdapter, 1, 1, 3, 5,
       [](auto* call) { call->table()[3].rank = cuda::kEmptySlot; }},  // of its second module alone
      {"too large a rank", cuda::kRankTooLarge, 1, 16, 3, 5, [](auto* call) { call->params().max_rank = 15; }},
      {"a plan that begins late", cuda::kBadSegment, 0, 1, 0, 3, [](auto* call) { call->starts()[0] = 1; }},
      {"a plan that ends early", cuda::kBadSegment, 2, 8, 5, 9, [](auto* call) { call->starts()[3] = 8; }},
      {"a plan that passes the end", cuda::kBadSegment, 2, 10, 5, 9, [](auto* call) { call->starts()[3] = 10; }},
  };
  for (const Mistake& mistake : mistakes) {
    for (const SgmvPath path : kPaths) {
      SCOPED_TRACE(std::string(mistake.name) + ", " + Name(path));
      DeviceCase<TypeParam> call(test);
      mistake.make(&call);
      const auto actual = call.Run(path, 3);
      EXPECT_EQ(mistake.code, call.error().code);
      EXPECT_EQ(mistake.segment, call.error().segment);
      EXPECT_EQ(mistake.value, call.error().value);
      for (size_t g = 0; g < actual.size(); ++g) {
        const int64_t out = test.outs()[g];
        for (int64_t i = 0; i < 9 * out; ++i) {
          const float value = ToFloat(actual[g][i]);
          if (i / out >= mistake.first && i / out < mistake.last) {
            ASSERT_TRUE(std::isnan(value)) << "row " << i / out;
          } else {
            ASSERT_NEAR(expected[g][i].value, value, expected[g][i].tolerance) << "row " << i / out;
          }
        }
      }
    }
  }
}

TYPED_TEST(SgmvCudaTest, ReportsStacksThatAreNotAllowed) {
  SgmvCase<TypeParam> test(32, {16}, 0, &this->random_);
  const size_t plain = test.Adapter({{4}});
  test.Adapter({{4, false, true}});
  test.Segment(1, {plain, plain}, {1.0f, 0.5f});
  test.Fill();
  const auto run = [&](const auto& change) {
    DeviceCase<TypeParam> call(test);
    change(&call);
    const auto ys = call.Run(SgmvPath::kDecode, 1);
    EXPECT_TRUE(std::isnan(ToFloat(ys[0][0])));
    return call.error();
  };
  const DeviceError stacked = run([](auto* call) { call->slots()[1] = 1; });
  EXPECT_EQ(cuda::kNotStackable, stacked.code);
  EXPECT_EQ(1, stacked.value);
  const DeviceError weight = run([](auto* call) { call->weights()[1] = std::numeric_limits<float>::infinity(); });
  EXPECT_EQ(cuda::kBadWeight, weight.code);
  const DeviceError entries = run([](auto* call) { call->params().entries = 1; });
  EXPECT_EQ(cuda::kBadStack, entries.code);
  EXPECT_EQ(2, entries.value);
}

TEST(SgmvLaunchesTest, ChoosesAPathByTheMeanOfRowsAndWhatTheDeviceCan) {
  SgmvParams params{};
  params.in = 4096;
  params.outputs = 1;
  params.output[0].out = 4096;
  params.tokens = 64;
  params.segments = 64;
  params.max_rank = 16;
  EXPECT_EQ(SgmvPath::kFused, cuda::ChoosePath(params, true));
  EXPECT_EQ(SgmvPath::kDecode, cuda::ChoosePath(params, false));
  params.max_rank = cuda::kMaxFusedRank + 1;
  EXPECT_EQ(SgmvPath::kDecode, cuda::ChoosePath(params, true));
  params.max_rank = 16;
  const long long starts = 0;
  params.entry_starts = &starts;
  EXPECT_EQ(SgmvPath::kDecode, cuda::ChoosePath(params, true)) << "stacks need sums of any number of ranks";
  params.tokens = 4096;
  EXPECT_EQ(SgmvPath::kTiles, cuda::ChoosePath(params, true));
}

TEST(SgmvLaunchesTest, StaysWithinWhatAnAmpereOrHopperBlockMayHave) {
  SgmvParams params{};
  params.in = 16384;
  params.outputs = 2;
  params.output[0].out = 53248;
  params.output[1].out = 53248;
  params.tokens = 8192;
  params.segments = 512;
  params.max_rank = cuda::kMaxFusedRank;
  for (const SgmvPath path : kPaths) {
    params.splits = cuda::Splits(path, params.in);
    for (const cuda::KernelLaunch& launch : cuda::Launches(path, params)) {
      // CUDA C++ Programming Guide, "Technical Specifications per Compute Capability": 163 kB of shared memory on 8.0,
      // 99 kB on 8.6 and 8.9; the fused kernel is for 9.0 on, with 227 kB
      EXPECT_LE(launch.shared_bytes, launch.kernel == cuda::SgmvKernel::kDecodeFused ? 227u << 10 : 99u << 10);
      EXPECT_LE(launch.grid[1], 65535u);
      EXPECT_LE(launch.grid[2], 65535u);
      EXPECT_EQ(0u, launch.grid[0] % launch.cluster);
    }
  }
}

}  // namespace
}  // namespace djl_lora
