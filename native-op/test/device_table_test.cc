// SPDX-License-Identifier: Apache-2.0
//
// Tables on a device and the operators over them, with an emulated device whose memory is the host's: all but the
// launches themselves is what runs on a GPU.
#include "ops/device_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <utility>

#include "cuda/device_layout.h"
#include "cuda/emulated_kernels.h"
#include "ops/sgmv.h"
#include "ops/table.h"
#include "support.h"

namespace djl_lora {
namespace {

class EmulatedKernels : public SgmvKernels {
 public:
  // only_count: whether launches are counted and not run
  EmulatedKernels(ElementType type, bool clusters, decltype(&cuda::RunEmulated) run, int* launches,
                  const bool* only_count)
      : type_(type), clusters_(clusters), run_(run), launches_(launches), only_count_(only_count) {}
  bool clusters() const override { return clusters_; }
  void Launch(const cuda::KernelLaunch& launch, const cuda::SgmvParams& params) const override {
    ++*launches_;
    if (!*only_count_) {
      run_(launch, type_, params, 1);
    }
  }

 private:
  const ElementType type_;
  const bool clusters_;
  const decltype(&cuda::RunEmulated) run_;
  int* const launches_;
  const bool* const only_count_;
};

class EmulatedDevice : public SgmvDevice {
 public:
  explicit EmulatedDevice(bool clusters) : clusters_(clusters) {}
  TensorPlace place() const override { return kOnCpu; }
  int64_t l2_bytes() const override { return 6000; }
  std::shared_ptr<const SgmvKernels> Embedded(ElementType type) const override {
    if (!embedded) {
      throw EngineError("no image suits");
    }
    return std::make_shared<EmulatedKernels>(type, clusters_, cuda::RunEmulated, &launches, &only_count_);
  }
  std::shared_ptr<const SgmvKernels> Load(ElementType type, const void* image) const override {
    if (static_cast<const char*>(image)[8] == 'x') {
      throw EngineError("the image does not load");
    }
    return std::make_shared<EmulatedKernels>(type, clusters_, cuda::kFixedImageRank19.run, &given_launches,
                                             &only_count_);
  }
  // As if the library's kernels took 20 microseconds each and those of images 15. The first two times they run.
  double Time(const std::function<void()>& work) const override {
    const int before = launches;
    const int given_before = given_launches;
    only_count_ = times_++ >= 2;
    work();
    only_count_ = false;
    return 20.0 * (launches - before) + 15.0 * (given_launches - given_before);
  }

  bool embedded = true;
  mutable int launches = 0;
  mutable int given_launches = 0;

 private:
  bool clusters_;
  mutable bool only_count_ = false;
  mutable int times_ = 0;
};

constexpr int64_t kIn = 72;
constexpr int64_t kOut[] = {40, 24};

std::string Refusal(const std::function<void()>& call) {
  try {
    call();
  } catch (const ArgumentError& refused) {
    return refused.what();
  }
  return "nothing was refused";
}

// The same adapters in a table on the CPU and in one on the device.
class DeviceTableTest : public testing::Test {
 protected:
  using T = BFloat16;

  void SetUp() override { Open(true, true); }
  void TearDown() override {
    TableClose(cpu_);
    DeviceTableClose(device_);
    EXPECT_EQ(0, OpenDeviceTables());
  }

  void Open(bool clusters, bool embedded) {
    if (cpu_ != 0) {
      TearDown();
    }
    const Tensor in = MakeTensor<int64_t>({kIn, kIn});
    const Tensor out = MakeTensor<int64_t>({kOut[0], kOut[1]});
    emulated_ = std::make_shared<EmulatedDevice>(clusters);
    emulated_->embedded = embedded;
    cpu_ = TableCreate(in.get(), out.get(), static_cast<int64_t>(ElementType::kBFloat16));
    device_ = DeviceTableCreate(in.get(), out.get(), static_cast<int64_t>(ElementType::kBFloat16), {4, 64, 16, 32},
                                emulated_);
    table_ = FindDeviceTable("test", device_);
    arena_ = Empty({1 << 20}, ElementType::kUInt8);
    const uintptr_t begin = reinterpret_cast<uintptr_t>(Describe("test", "arena", arena_.get()).data);
    next_ = static_cast<int64_t>(-begin % cuda::kPartAlignment);
  }

  // Weights and layout of an adapter: rank of each module, and whether the first has an out_scale and a bias.
  struct Parts {
    Tensor weights;
    Tensor layout;
    Tensor scales;
  };
  Parts MakeParts(int64_t rank0, int64_t rank1, bool vectors) {
    const int64_t ranks[] = {rank0, rank1};
    std::vector<int64_t> layout;
    int64_t used = 0;
    const auto place = [&used](int64_t count) {
      const int64_t at = count == 0 ? -1 : used;
      used += count;
      return at;
    };
    for (int m = 0; m < 2; ++m) {
      layout.push_back(ranks[m]);
      layout.push_back(place(ranks[m] * kIn));
      layout.push_back(place(ranks[m] * kOut[m]));
      layout.push_back(place(vectors && m == 0 ? kOut[m] : 0));
      layout.push_back(place(vectors && m == 0 ? kOut[m] : 0));
    }
    return {MakeTensor(Random<T>(&random_, used)), MakeTensor(layout, {2, 5}), MakeTensor<float>({0.5f, -0.25f}, {2})};
  }
  void Put(int64_t slot, int64_t rank0, int64_t rank1, bool vectors) {
    const Parts parts = MakeParts(rank0, rank1, vectors);
    TablePut(cpu_, slot, parts.weights.get(), parts.layout.get(), parts.scales.get());
    table_->Put(slot, parts.weights.get(), parts.layout.get(), parts.scales.get(), arena_.get(), next_);
    next_ += table_->PackedBytes(parts.layout.get());
  }

  // A call on both, over one module or both.
  struct Call {
    std::vector<int64_t> starts;
    std::vector<int64_t> slots;
    std::vector<int64_t> entry_starts;  // for stacks
    std::vector<float> entry_weights;
  };
  void Compare(const Call& call, int64_t modules) {
    const int64_t tokens = call.starts.back();
    const Tensor x = MakeTensor(Random<T>(&random_, tokens * kIn), {tokens, kIn});
    const Tensor bias = MakeTensor(Random<T>(&random_, kOut[0]));
    std::vector<Tensor> expected;
    std::vector<Tensor> actual;
    for (int64_t m = 0; m < modules; ++m) {
      const std::vector<T> y = Random<T>(&random_, tokens * kOut[m]);
      expected.push_back(MakeTensor(y, {tokens, kOut[m]}));
      actual.push_back(MakeTensor(y, {tokens, kOut[m]}));
    }
    const Tensor starts = MakeTensor(call.starts);
    const Tensor slots = MakeTensor(call.slots);
    const Tensor entry_starts = MakeTensor(call.entry_starts);
    const Tensor entry_weights = MakeTensor(call.entry_weights, {static_cast<int64_t>(call.entry_weights.size())});
    const auto arguments = [&](const std::vector<Tensor>& ys, int64_t table) {
      SgmvArguments all{"sgmv", {}, x.get(), {starts.get(), slots.get()}, table};
      if (!call.entry_starts.empty()) {
        all.plan.entry_starts = entry_starts.get();
        all.plan.entry_weights = entry_weights.get();
      }
      for (int64_t m = 0; m < modules; ++m) {
        all.targets.push_back({ys[m].get(), m == 0 ? bias.get() : nullptr, m});
      }
      return all;
    };
    CheckedSgmv(arguments(expected, cpu_)).Run(1);
    table_->Sgmv(arguments(actual, device_));
    table_->Check();
    for (int64_t m = 0; m < modules; ++m) {
      const std::vector<T> want = Values<T>(expected[m]);
      const std::vector<T> got = Values<T>(actual[m]);
      for (size_t i = 0; i < want.size(); ++i) {
        // Both round once; sums in another order may fall to either side, and what cancels out keeps the error of
        // its terms, of which the largest here is about 100.
        ASSERT_NEAR(ToFloat(want[i]), ToFloat(got[i]), 1e-4 + std::abs(ToFloat(want[i])) * 0x1p-7)
            << "module " << m << ", element " << i;
      }
    }
  }

  std::mt19937 random_{7};
  std::shared_ptr<EmulatedDevice> emulated_;
  int64_t cpu_ = 0;
  int64_t device_ = 0;
  std::shared_ptr<DeviceTable> table_;
  Tensor arena_;
  int64_t next_ = 0;
};

TEST_F(DeviceTableTest, ComputesWhatTheOperatorOnTheCpuDoes) {
  for (const bool clusters : {true, false}) {
    Open(clusters, true);
    Put(0, 8, 4, false);
    Put(1, 16, 0, true);
    Put(3, 3, 16, false);
    Compare({{0, 1, 1, 4, 6}, {0, 3, -1, 1}, {}, {}}, 1);
    EXPECT_EQ(clusters ? 1 : 2, emulated_->launches);
    Compare({{0, 2, 3, 5}, {1, 0, 3}, {}, {}}, 2);
    Compare({{0, 30, 62}, {3, 1}, {}, {}}, 2);  // tiles
    Compare({{0, 3, 5}, {0, 3, 0}, {0, 2, 3}, {0.5f, -2.0f, 1.0f}}, 2);
    Put(0, 1, 1, false);  // in the place of another
    Compare({{0, 1, 4}, {3, 0}, {}, {}}, 2);
  }
}

TEST_F(DeviceTableTest, MovesAdaptersWithinTheirArena) {
  Put(0, 8, 4, true);
  Put(1, 16, 8, false);
  const uintptr_t base = reinterpret_cast<uintptr_t>(Describe("test", "arena", arena_.get()).data);
  const int64_t first = static_cast<int64_t>(-base % cuda::kPartAlignment);
  table_->Move(1, next_ + 4096);
  Compare({{0, 2, 5}, {0, 1}, {}, {}}, 2);
  table_->Move(0, first + cuda::kPartAlignment);  // over itself
  Compare({{0, 2, 5}, {0, 1}, {}, {}}, 2);
  const std::string table = std::to_string(device_);
  EXPECT_NE(std::string::npos,
            Refusal([&] { table_->Move(0, next_ + 4096); }).find("overlap with those of the adapter"));
  EXPECT_NE(std::string::npos, Refusal([&] { table_->Move(0, first + 1); }).find("begin at a multiple of 128"));
  EXPECT_NE(std::string::npos, Refusal([&] { table_->Move(0, 1 << 20); }).find("must lie within arena"));
  EXPECT_EQ("device_table_move: slot 2 of table " + table + " holds no adapter",
            Refusal([&] { table_->Move(2, first); }));
  Compare({{0, 2, 5}, {0, 1}, {}, {}}, 2);
}

TEST_F(DeviceTableTest, GrowsWithItsAdapters) {
  Put(0, 8, 4, false);
  Put(3, 16, 8, true);
  table_->Grow({16, 32, 64, 1});
  Put(9, 40, 64, false);
  Compare({{0, 2, 5, 6}, {0, 9, 3}, {}, {}}, 2);
  Compare({{0, 64}, {9}, {}, {}}, 1);
  EXPECT_NE(std::string::npos, Refusal([&] { table_->Grow({1, 1, 513, 1}); }).find("device_table_grow: rank is 513"));
  Compare({{0, 3, 5}, {0, 0, 0}, {0, 2, 3}, {0.5f, -2.0f, 1.0f}}, 2);
}

TEST_F(DeviceTableTest, PacksForACallerWhoCopies) {
  const Parts parts = MakeParts(8, 4, true);
  TablePut(cpu_, 2, parts.weights.get(), parts.layout.get(), parts.scales.get());
  const int64_t bytes = table_->PackedBytes(parts.layout.get());
  const auto pack = [&](const Tensor& packed) {
    table_->Pack(2, parts.weights.get(), parts.layout.get(), parts.scales.get(), arena_.get(), next_, packed.get());
  };
  const Tensor small = Empty({bytes}, ElementType::kUInt8);
  EXPECT_NE(std::string::npos, Refusal([&] { pack(small); }).find("but the adapter takes"));
  const Tensor packed = Empty({bytes + table_->RowBytes()}, ElementType::kUInt8);
  pack(packed);
  const char* source = Describe("test", "packed", packed.get()).As<char>();
  // the weights first: before the entries are there nobody looks for them
  std::memcpy(Describe("test", "arena", arena_.get()).As<char>() + next_, source, static_cast<size_t>(bytes));
  std::memcpy(reinterpret_cast<void*>(table_->EntriesAddress(2)), source + bytes,
              static_cast<size_t>(table_->RowBytes()));
  Compare({{0, 2, 5}, {2, -1}, {}, {}}, 2);
  EXPECT_NE(std::string::npos, Refusal([&] { pack(packed); }).find("overlap with those of the adapter in slot 2"));
  table_->Remove(2);
  pack(packed);
}

TEST_F(DeviceTableTest, TellsWhatThePlanHadWrong) {
  Put(0, 8, 4, false);
  Put(1, 8, 4, true);
  const Tensor x = MakeTensor(Random<T>(&random_, 3 * kIn), {3, kIn});
  const auto run = [&](const std::vector<int64_t>& starts, const std::vector<int64_t>& slots, bool stacked) {
    const Tensor y = MakeTensor(Random<T>(&random_, 3 * kOut[0]), {3, kOut[0]});
    const Tensor plan_starts = MakeTensor(starts);
    const Tensor plan_slots = MakeTensor(slots);
    const Tensor entry_starts = MakeTensor<int64_t>({0, 1, static_cast<int64_t>(slots.size())});
    const Tensor weights = MakeTensor(std::vector<float>(slots.size(), 1.0f), {static_cast<int64_t>(slots.size())});
    table_->Sgmv({"sgmv",
                  {{y.get(), nullptr, 0}},
                  x.get(),
                  {plan_starts.get(), plan_slots.get(), stacked ? entry_starts.get() : nullptr,
                   stacked ? weights.get() : nullptr},
                  device_});
    EXPECT_TRUE(std::isnan(ToFloat(Values<T>(y).back()))) << "the last row";
    const std::string text = Refusal([&] { table_->Check(); });
    EXPECT_EQ("nothing was refused", Refusal([&] { table_->Check(); })) << "an error is told once";
    return text;
  };
  const std::string begin = "segment 1 of a call on table " + std::to_string(device_) + ": ";
  EXPECT_EQ(begin + "slot 4 is outside the table; its rows are NaN", run({0, 1, 3}, {0, 4}, false));
  EXPECT_EQ(begin + "slot 2 holds no adapter; its rows are NaN", run({0, 1, 3}, {0, 2}, false));
  EXPECT_EQ(begin + "segment_starts has 4, but it must run from 0 to the rows of y without falling; its rows are NaN",
            run({0, 1, 4}, {0, 1}, false));
  EXPECT_EQ(begin +
                "slot 1 has an out_scale (DoRA or IA3) or a bias of its own; only adapters without may be weighted "
                "or stacked; its rows are NaN",
            run({0, 1, 3}, {0, 0, 1}, true));
  EXPECT_EQ(begin + "its ranks come to 40, more than the table was made for; its rows are NaN",
            run({0, 1, 3}, {0, 0, 0, 0, 0, 0}, true));
  table_->Remove(0);
  EXPECT_EQ("segment 0 of a call on table " + std::to_string(device_) + ": slot 0 holds no adapter; its rows are NaN",
            run({0, 3}, {0}, false));
}

TEST_F(DeviceTableTest, RefusesWhatDoesNotFit) {
  Put(0, 8, 4, false);
  const std::string table = std::to_string(device_);
  const auto put = [&](int64_t slot, int64_t rank, int64_t offset) {
    const Parts parts = MakeParts(rank, 4, false);
    return Refusal(
        [&] { table_->Put(slot, parts.weights.get(), parts.layout.get(), parts.scales.get(), arena_.get(), offset); });
  };
  EXPECT_EQ("device_table_put: slot is 4, but table " + table + " has slots 0 to 3", put(4, 8, next_));
  EXPECT_EQ("device_table_put: the rank of module 0 is 17, but table " + table + " was made for ranks up to 16",
            put(1, 17, next_));
  EXPECT_NE(std::string::npos, put(1, 8, next_ + 2).find("must begin at a multiple of 128"));
  EXPECT_NE(std::string::npos,
            put(1, 8, next_ - cuda::kPartAlignment).find("overlap with those of the adapter in slot"))
      << "that an adapter of another call may still read";
  EXPECT_NE(std::string::npos, put(1, 8, next_ + (1 << 20)).find("do not lie within arena uint8 [1048576]"));
  EXPECT_EQ("device_table_remove: slot 1 of table " + table + " holds no adapter", Refusal([&] { table_->Remove(1); }));
  EXPECT_EQ("sgmv: there is no table " + std::to_string(cpu_) + " on a device (it would be one on the CPU)",
            Refusal([&] { FindDeviceTable("sgmv", cpu_); }));

  const Tensor starts = MakeTensor<int64_t>({0, 65});
  const Tensor slots = MakeTensor<int64_t>({0});
  const Tensor x = MakeTensor(Random<T>(&random_, 65 * kIn), {65, kIn});
  const Tensor y = MakeTensor(Random<T>(&random_, 65 * kOut[0]), {65, kOut[0]});
  EXPECT_EQ("sgmv: y has 65 rows, but table " + table + " was made for 64", Refusal([&] {
              table_->Sgmv({"sgmv", {{y.get(), nullptr, 0}}, x.get(), {starts.get(), slots.get()}, device_});
            }));
  EXPECT_EQ(0, emulated_->launches);
}

// Bytes that the emulated device takes for an image, or refuses to load.
std::vector<uint8_t> ImageBytes(bool loads) {
  std::vector<uint8_t> bytes(100);
  std::memcpy(bytes.data(), "\177ELF", 4);
  bytes[8] = loads ? 'o' : 'x';
  return bytes;
}

Tensor Bytes(const std::vector<uint8_t>& bytes) {
  Tensor tensor = Empty({static_cast<int64_t>(bytes.size())}, ElementType::kUInt8);
  std::copy(bytes.begin(), bytes.end(), Describe("test", "bytes", tensor.get()).As<uint8_t>());
  return tensor;
}

std::string Failure(const std::function<void()>& call) {
  try {
    call();
  } catch (const EngineError& failed) {
    return failed.what();
  }
  return "nothing failed";
}

TEST_F(DeviceTableTest, RunsTheKernelsOfAnImageWhereItFits) {
  Put(0, 8, 4, false);
  table_->UseImage(Bytes(ImageBytes(true)).get(), kIn);
  Compare({{0, 1, 3}, {0, -1}, {}, {}}, 2);
  EXPECT_EQ(0, emulated_->launches);
  EXPECT_EQ(1, emulated_->given_launches);
  table_->UseImage(Bytes(ImageBytes(true)).get(), kIn);  // in the place of the one before
  Compare({{0, 1, 3}, {0, -1}, {}, {}}, 2);
  EXPECT_EQ(2, emulated_->given_launches);
  table_->DropImage(kIn);
  Compare({{0, 1, 3}, {0, -1}, {}, {}}, 2);
  EXPECT_EQ(1, emulated_->launches);
  EXPECT_EQ(2, emulated_->given_launches);
  table_->DropImage(kIn);  // again
  EXPECT_EQ("device_table_drop_image: in_features is 73, but no module of table " + std::to_string(device_) +
                " takes as many",
            Refusal([&] { table_->DropImage(73); }));
  EXPECT_EQ("", table_->WhyNotEmbedded());
}

TEST_F(DeviceTableTest, KeepsItsKernelsWhereAnImageIsRefused) {
  Put(0, 8, 4, false);
  const std::string name = "device_table_use_image: ";
  const auto refusal = [&](const std::vector<uint8_t>& bytes, int64_t in) {
    return Refusal([&] { table_->UseImage(Bytes(bytes).get(), in); });
  };
  EXPECT_EQ(name + "in_features is 73, but no module of table " + std::to_string(device_) + " takes as many",
            refusal(ImageBytes(true), 73));
  EXPECT_EQ(name + "image has 4 bytes, which is neither machine code nor PTX", refusal({1, 2, 3, 4}, kIn));
  EXPECT_EQ(name + "image is not machine code, and not PTX either: no zero ends it",
            refusal(std::vector<uint8_t>(100, '/'), kIn));
  const Tensor floats = MakeTensor<float>({1.0f});
  EXPECT_NE(std::string::npos, Refusal([&] {
                                 table_->UseImage(floats.get(), kIn);
                               }).find("image is float32 [1], but its type must be uint8"));
  EXPECT_EQ(name + "the image does not load", Failure([&] { table_->UseImage(Bytes(ImageBytes(false)).get(), kIn); }));
  Compare({{0, 1, 3}, {0, -1}, {}, {}}, 2);
  EXPECT_EQ(1, emulated_->launches);
  EXPECT_EQ(0, emulated_->given_launches);
}

TEST_F(DeviceTableTest, WaitsForAnImageWhereTheLibraryHasNone) {
  Open(true, false);
  Put(0, 8, 4, false);
  EXPECT_EQ("no image suits", table_->WhyNotEmbedded());
  EXPECT_EQ("sgmv: table " + std::to_string(device_) +
                " has no kernels (no image suits); device_table_use_image can give it some",
            Failure([&] {
              Compare({{0, 1, 3}, {0, -1}, {}, {}}, 2);
            }));
  table_->UseImage(Bytes(ImageBytes(true)).get(), kIn);
  Compare({{0, 1, 3}, {0, -1}, {}, {}}, 2);
  EXPECT_EQ(1, emulated_->given_launches);
  EXPECT_NE(std::string::npos,
            Refusal([&] { table_->TimeImage({0}, 4, 8); }).find("has no kernels but its images' (no image suits)"));
  table_->DropImage(kIn);
  EXPECT_NE("nothing failed", Failure([&] { Compare({{0, 1, 3}, {0, -1}, {}, {}}, 2); }));
}

TEST_F(DeviceTableTest, ChoosesKernelsByTheInputsOfTheModule) {
  for (const bool embedded : {true, false}) {
    const auto device = std::make_shared<EmulatedDevice>(true);
    device->embedded = embedded;
    const Tensor in = MakeTensor<int64_t>({kIn, 40});
    const Tensor out = MakeTensor<int64_t>({kOut[0], kOut[0]});
    const int64_t id =
        DeviceTableCreate(in.get(), out.get(), static_cast<int64_t>(ElementType::kBFloat16), {1, 4, 16, 16}, device);
    const auto table = FindDeviceTable("test", id);
    table->UseImage(Bytes(ImageBytes(true)).get(), 40);
    const Tensor starts = MakeTensor<int64_t>({0, 1});
    const Tensor base = MakeTensor<int64_t>({-1});
    for (const int64_t module : {0, 1}) {
      const int64_t width = module == 0 ? kIn : 40;
      const Tensor x = MakeTensor(Random<T>(&random_, width), {1, width});
      const Tensor y = MakeTensor(Random<T>(&random_, kOut[0]), {1, kOut[0]});
      table->Sgmv({"sgmv", {{y.get(), nullptr, module}}, x.get(), {starts.get(), base.get()}, id});
    }
    EXPECT_EQ(embedded ? 1 : 0, device->launches);
    EXPECT_EQ(embedded ? 1 : 2, device->given_launches) << "any image will do where there is nothing else";
    DeviceTableClose(id);
  }
}

TEST_F(DeviceTableTest, TimesAnImageBesideItsOwnKernels) {
  const std::string name = "device_table_time_image: ";
  const std::string table = std::to_string(device_);
  const auto refusal = [&](const std::vector<int64_t>& modules, int64_t segments, int64_t rank) {
    return Refusal([&] { table_->TimeImage(modules, segments, rank); });
  };
  EXPECT_EQ(name + "table " + table + " has no image for in_features 72", refusal({0}, 4, 8));
  table_->UseImage(Bytes(ImageBytes(true)).get(), kIn);
  const std::pair<double, double> expected(20.0, 15.0);
  EXPECT_EQ(expected, table_->TimeImage({0, 1}, 1, 8)) << "one launch each";
  const int launches = emulated_->launches;
  // 11 samples of at least 8 calls, over adapters that take more than twice the cache
  EXPECT_GE(launches, 88);
  EXPECT_EQ(launches, emulated_->given_launches);
  EXPECT_EQ(name + "modules has 0 values, but it must have 1 to 4", refusal({}, 4, 8));
  EXPECT_EQ(name + "modules has 2, but table " + table + " has modules 0 to 1", refusal({0, 2}, 4, 8));
  EXPECT_EQ(name + "segments is 0, but it must be from 1 to 4096", refusal({0}, 0, 8));
  EXPECT_EQ(name + "rank is 513, but it must be from 1 to 512", refusal({0}, 4, 513));
}

TEST_F(DeviceTableTest, RefusesTablesThatNoDeviceCouldHave) {
  const Tensor in = MakeTensor<int64_t>({8});
  const auto create = [&](ElementType type, const DeviceTableLimits& limits) {
    return Refusal([&] { DeviceTableCreate(in.get(), in.get(), static_cast<int64_t>(type), limits, emulated_); });
  };
  EXPECT_NE(std::string::npos, create(ElementType::kFloat32, {1, 1, 1, 1}).find("dtype is float32"));
  EXPECT_NE(std::string::npos, create(ElementType::kFloat16, {0, 1, 1, 1}).find("slots is 0"));
  EXPECT_NE(std::string::npos, create(ElementType::kFloat16, {1, 0, 1, 1}).find("tokens is 0"));
  EXPECT_NE(std::string::npos, create(ElementType::kFloat16, {1, 1, 513, 1}).find("rank is 513"));
  EXPECT_NE(std::string::npos, create(ElementType::kFloat16, {1, 1, 1, 0}).find("stack_ranks is 0"));
}

}  // namespace
}  // namespace djl_lora
