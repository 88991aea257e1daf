// SPDX-License-Identifier: Apache-2.0
//
// Everything around the CUDA kernels, against a driver of the tests' own: these run on machines without a GPU, and say
// nothing of what a real driver does.
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/errors.h"
#include "compat/dynamic.h"
#include "cuda/cuda_device.h"
#include "cuda/driver.h"
#include "cuda/images.h"
#include "cuda/launch.h"
#include "cuda/self_test.h"
#include "cuda/torch_stream.h"
#include "fake_cuda.h"

namespace djl_lora {
namespace {

std::string InTestFolder(const char* name) { return std::string(DJL_LORA_TEST_LIBRARIES) + "/" + name; }

// The message of the EngineError that the body throws.
template <typename Body>
std::string Failure(const Body& body) {
  try {
    body();
  } catch (const EngineError& failed) {
    return failed.what();
  }
  return "(nothing failed)";
}

// A fake driver whose state lasts for one test.
class CudaTest : public testing::Test {
 protected:
  explicit CudaTest(const char* library = "libfake_cuda.so")
      : path_(InTestFolder(library)), library_(path_.c_str(), DynamicLibrary::Mode::kLoad) {
    if (!library_.opened()) {
      throw std::runtime_error(library_.error());
    }
    fake_ = reinterpret_cast<FakeCudaFunction>(library_.Find("fake_cuda"))();
  }

  std::unique_ptr<const Driver> Load() const { return Driver::Load(path_.c_str()); }

  std::string path_;
  DynamicLibrary library_;
  FakeCuda* fake_;
};

constexpr unsigned char kBytes[] = "one two three four five six";

const Image kImages[] = {
    {"self_test", "sm_80", kBytes, kBytes + 1},       {"self_test", "sm_86", kBytes + 1, kBytes + 2},
    {"self_test", "sm_89", kBytes + 2, kBytes + 3},   {"self_test", "sm_90a", kBytes + 3, kBytes + 4},
    {"self_test", "sm_100", kBytes + 4, kBytes + 5},  {"self_test", "compute_80", kBytes + 5, kBytes + 6},
    {"cubins_only", "sm_90", kBytes + 6, kBytes + 7}, {"cubins_only", "sm_90a", kBytes + 7, kBytes + 8},
};
const ImageTable kTable{kImages, 8, 13000};

// The targets that suit a device, best first, with a space between.
std::string Suitable(const char* module, int32_t major, int32_t minor) {
  std::string text;
  for (const Image* image : SuitableImages(kTable, module, major, minor)) {
    text += (text.empty() ? "" : " ") + std::string(image->target);
  }
  return text;
}

TEST(CudaImagesTest, ExactCubinsComeFirstAndPtxLast) {
  EXPECT_EQ("", Suitable("self_test", 7, 5));
  EXPECT_EQ("sm_80 compute_80", Suitable("self_test", 8, 0));
  EXPECT_EQ("sm_86 sm_80 compute_80", Suitable("self_test", 8, 6));
  EXPECT_EQ("sm_86 sm_80 compute_80", Suitable("self_test", 8, 7));
  EXPECT_EQ("sm_89 sm_86 sm_80 compute_80", Suitable("self_test", 8, 9));
  EXPECT_EQ("sm_90a compute_80", Suitable("self_test", 9, 0));
  EXPECT_EQ("sm_100 compute_80", Suitable("self_test", 10, 0));
  EXPECT_EQ("sm_100 compute_80", Suitable("self_test", 10, 3));
  EXPECT_EQ("compute_80", Suitable("self_test", 12, 0));
  EXPECT_EQ("sm_90a sm_90", Suitable("cubins_only", 9, 0));
  EXPECT_EQ("sm_90", Suitable("cubins_only", 9, 1));
  EXPECT_EQ("", Suitable("cubins_only", 10, 0));
  EXPECT_EQ("", Suitable("unknown", 9, 0));
}

TEST(CudaImagesTest, WhatTheBuildEmbeddedIsWhole) {
  const ImageTable& table = EmbeddedImages();
  if (table.count == 0) {
    GTEST_SKIP() << "built without nvcc";
  }
  EXPECT_GE(table.toolkit, 11000);
  for (size_t i = 0; i < table.count; ++i) {
    const Image& image = table.images[i];
    SCOPED_TRACE(std::string(image.module) + " " + image.target);
    ASSERT_GT(image.size(), 100u);
    if (std::strncmp(image.target, "compute_", 8) == 0) {
      const std::string text(reinterpret_cast<const char*>(image.begin));  // as far as the zero that ends it
      EXPECT_EQ(image.size(), text.size() + 1);
      EXPECT_NE(std::string::npos, text.find(".target sm_" + std::string(image.target + 8)));
      EXPECT_NE(std::string::npos, text.find(".entry "));
    } else {
      EXPECT_EQ(0, std::memcmp(image.begin, "\177ELF", 4));
      EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(image.begin) % 64);
    }
  }
  for (const auto& [major, minor] : {std::pair{8, 0}, {8, 6}, {8, 9}, {9, 0}, {10, 0}, {12, 0}}) {
    EXPECT_FALSE(SuitableImages(table, "self_test", major, minor).empty()) << major << "." << minor;
  }
}

TEST(CudaDriverTest, ALibraryThatIsMissingIsNamed) {
  EXPECT_EQ("no NVIDIA driver: libcuda-of-nobody.so.1: cannot open shared object file: No such file or directory",
            Failure([] { Driver::Load("libcuda-of-nobody.so.1"); }));
}

TEST(CudaDriverTest, AFunctionThatIsMissingIsNamed) {
  const std::string path = InTestFolder("libfake_cuda_lacking.so");
  EXPECT_EQ("the NVIDIA driver's " + path + " has no function cuStreamIsCapturing; a newer driver is needed",
            Failure([&] { Driver::Load(path.c_str()); }));
}

TEST(CudaDriverTest, VersionsAreWrittenAsPeopleDo) {
  EXPECT_EQ("12.8", CudaVersionText(12080));
  EXPECT_EQ("13.0", CudaVersionText(13000));
  EXPECT_EQ("11.4", CudaVersionText(11040));
}

TEST_F(CudaTest, TellsTheDevices) {
  fake_->devices = {{"First", 8, 9, 99 * 1024}, {"Second", 9, 0, 227 * 1024}};
  fake_->version = 12080;
  const auto driver = Load();
  EXPECT_EQ(12080, driver->version());
  ASSERT_EQ(2u, driver->devices().size());
  EXPECT_EQ("First", driver->device(0).name);
  EXPECT_EQ("Second", driver->device(1).name);
  EXPECT_EQ(9, driver->device(1).major);
  EXPECT_EQ(0, driver->device(1).minor);
  EXPECT_EQ(int64_t{80} << 30, driver->device(1).memory_bytes);
  EXPECT_EQ(132, driver->device(1).multiprocessors);
  EXPECT_EQ(60 << 20, driver->device(1).l2_bytes);
  EXPECT_EQ(227 * 1024, driver->device(1).shared_bytes);
  EXPECT_THROW(driver->device(2), ArgumentError);
  EXPECT_THROW(driver->device(-1), ArgumentError);
}

TEST_F(CudaTest, EveryStepOfStartingMayFail) {
  fake_->results = {{"cuInit", kCuErrorNoDevice}};
  EXPECT_EQ("cuInit failed: no CUDA-capable device is detected (CUDA_ERROR_NO_DEVICE, 100)", Failure([&] { Load(); }));
  for (const char* function : {"cuDriverGetVersion", "cuDeviceGetCount", "cuDeviceGet", "cuDeviceGetName",
                               "cuDeviceGetAttribute", "cuDeviceTotalMem_v2"}) {
    fake_->results = {{function, 3}};
    const std::string name = std::string(function) == "cuDeviceTotalMem_v2" ? "cuDeviceTotalMem" : function;
    EXPECT_EQ(name + " failed: a test wants it (CUDA_ERROR_OF_A_TEST, 3)", Failure([&] { Load(); }));
  }
  fake_->results = {{"cuInit", 999}};
  EXPECT_EQ("cuInit failed: not a known error, 999", Failure([&] { Load(); }));
}

TEST_F(CudaTest, ContextsAreRetainedOnceAndReleased) {
  fake_->devices.push_back({"Second", 8, 0, 163 * 1024});
  {
    const auto driver = Load();
    EXPECT_EQ(0, fake_->contexts);
    EXPECT_EQ(driver->PrimaryContext(1), driver->PrimaryContext(1));
    EXPECT_NE(driver->PrimaryContext(0), driver->PrimaryContext(1));
    EXPECT_EQ(2, fake_->contexts);
  }
  EXPECT_EQ(0, fake_->contexts);
}

TEST_F(CudaTest, ScopesPutBackTheContextBeforeThem) {
  fake_->devices.push_back({"Second", 8, 0, 163 * 1024});
  const auto driver = Load();
  const auto current = [&] {
    CuContext context = nullptr;
    driver->cuCtxGetCurrent(&context);
    return context;
  };
  {
    const ScopedContext first(*driver, 0);
    EXPECT_EQ(driver->PrimaryContext(0), current());
    {
      const ScopedContext second(*driver, 1);
      EXPECT_EQ(driver->PrimaryContext(1), current());
      const ScopedContext again(*driver, 1);
      EXPECT_EQ(driver->PrimaryContext(1), current());
    }
    EXPECT_EQ(driver->PrimaryContext(0), current());
  }
  EXPECT_EQ(nullptr, current());
}

TEST_F(CudaTest, ModulesAreLoadedOncePerContext) {
  fake_->devices.push_back({"Second", 8, 6, 99 * 1024});
  const auto driver = Load();
  {
    KernelCache kernels(*driver, kTable);
    for (const int32_t device : {0, 1, 0, 1}) {
      const ScopedContext context(*driver, device);
      const Kernel& kernel = kernels.Find("self_test", "some_kernel");
      EXPECT_EQ(&kernel, &kernels.Find("self_test", "some_kernel"));
      EXPECT_NE(&kernel, &kernels.Find("self_test", "other_kernel"));
      EXPECT_EQ("some_kernel", kernel.name());
      EXPECT_EQ(driver->device(device).name, kernel.device().name);
      EXPECT_EQ(device == 0 ? "sm_90a" : "sm_86", kernels.LoadedTarget("self_test"));
    }
    EXPECT_EQ((std::vector<const void*>{kImages[3].begin, kImages[1].begin}), fake_->images);
    EXPECT_EQ(2, fake_->modules);
  }
  EXPECT_EQ(0, fake_->modules);
}

TEST_F(CudaTest, ThreadsShareModules) {
  const auto driver = Load();
  KernelCache kernels(*driver, kTable);
  std::vector<const Kernel*> found(4);
  std::vector<std::thread> threads;
  threads.reserve(found.size());
  for (const Kernel*& kernel : found) {
    threads.emplace_back([&] {
      const ScopedContext context(*driver, 0);
      kernel = &kernels.Find("self_test", "some_kernel");
      kernel->AllowSharedBytes(*driver, 100 * 1024);
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (const Kernel* kernel : found) {
    EXPECT_EQ(found[0], kernel);
  }
  EXPECT_EQ(1u, fake_->images.size());
  EXPECT_EQ(1u, fake_->function_attributes.size());
}

TEST_F(CudaTest, AnImageThatDoesNotLoadIsReplacedByTheNext) {
  fake_->devices = {{"Fake 8.9", 8, 9, 99 * 1024}};
  fake_->load = [](const void* image, char*) { return image == kImages[2].begin ? kCuErrorInvalidImage : kCuSuccess; };
  const auto driver = Load();
  KernelCache kernels(*driver, kTable);
  const ScopedContext context(*driver, 0);
  EXPECT_EQ("sm_86", kernels.LoadedTarget("self_test"));
}

TEST_F(CudaTest, ADriverTooOldForTheImagesIsTold) {
  fake_->version = 12080;
  fake_->load = [](const void* image, char* log) {
    if (image == kImages[5].begin) {
      std::strcpy(log, "ptxas error: unsupported .version 9.0");
      return kCuErrorUnsupportedPtxVersion;
    }
    return kCuErrorNoBinaryForGpu;
  };
  const auto driver = Load();
  KernelCache kernels(*driver, kTable);
  const ScopedContext context(*driver, 0);
  EXPECT_EQ(
      "no image of the CUDA kernels self_test loads on Fake 9000 of compute capability 9.0 (sm_90a: cuModuleLoadDataEx "
      "failed: a test wants it (CUDA_ERROR_OF_A_TEST, 209); compute_80: cuModuleLoadDataEx failed: a test wants it "
      "(CUDA_ERROR_OF_A_TEST, 222): ptxas error: unsupported .version 9.0); the driver serves CUDA 12.8, and the "
      "kernels were compiled by CUDA 13.0: update the driver",
      Failure([&] { kernels.Find("self_test", "some_kernel"); }));
  fake_->load = nullptr;  // what failed is tried again
  EXPECT_EQ("sm_90a", kernels.LoadedTarget("self_test"));
}

TEST_F(CudaTest, WhatCannotBeFoundIsNamed) {
  fake_->devices = {{"Fake 7.5", 7, 5, 64 * 1024}};
  const auto driver = Load();
  KernelCache kernels(*driver, kTable);
  EXPECT_EQ("no CUDA context is current in this thread", Failure([&] { kernels.Find("self_test", "some_kernel"); }));
  const ScopedContext context(*driver, 0);
  EXPECT_EQ("no image of the CUDA kernels self_test suits Fake 7.5 of compute capability 7.5",
            Failure([&] { kernels.Find("self_test", "some_kernel"); }));
}

TEST_F(CudaTest, AKernelThatAnImageLacksIsNamed) {
  fake_->find = [](const std::string& kernel) { return kernel == "lacking" ? kCuErrorNotFound : kCuSuccess; };
  const auto driver = Load();
  KernelCache kernels(*driver, kTable);
  const ScopedContext context(*driver, 0);
  EXPECT_EQ(
      "kernel lacking of the image self_test for sm_90a: cuModuleGetFunction failed: a test wants it "
      "(CUDA_ERROR_OF_A_TEST, 500)",
      Failure([&] { kernels.Find("self_test", "lacking"); }));
  fake_->find = nullptr;  // what failed is tried again
  EXPECT_EQ("lacking", kernels.Find("self_test", "lacking").name());
}

TEST_F(CudaTest, PlainLaunchesNeedNothingNew) {
  const auto driver = Load();
  KernelCache kernels(*driver, kTable);
  const ScopedContext context(*driver, 0);
  LaunchShape shape;
  shape.grid = {5, 4, 3};
  shape.block = {32, 2, 1};
  shape.shared_bytes = 48 * 1024;
  const auto stream = reinterpret_cast<CuStream>(0x77);
  Launch(*driver, kernels.Find("self_test", "some_kernel"), shape, stream, 1, 2.0f);
  ASSERT_EQ(1u, fake_->launches.size());
  const FakeLaunch& launch = fake_->launches[0];
  EXPECT_EQ("some_kernel", launch.kernel);
  EXPECT_EQ(shape.grid, launch.grid);
  EXPECT_EQ(shape.block, launch.block);
  EXPECT_EQ(48u * 1024, launch.shared_bytes);
  EXPECT_EQ(stream, launch.stream);
  EXPECT_FALSE(launch.extended);
  EXPECT_TRUE(fake_->function_attributes.empty());
}

TEST_F(CudaTest, ClustersAndOverlapAreAttributes) {
  const auto driver = Load();
  KernelCache kernels(*driver, kTable);
  const ScopedContext context(*driver, 0);
  const Kernel& kernel = kernels.Find("self_test", "some_kernel");
  LaunchShape shape;
  shape.cluster = {4, 2, 1};
  shape.overlap = true;
  Launch(*driver, kernel, shape, nullptr);
  shape.cluster = {16, 1, 1};
  shape.overlap = false;
  Launch(*driver, kernel, shape, nullptr);
  Launch(*driver, kernel, shape, nullptr);
  ASSERT_EQ(3u, fake_->launches.size());
  const FakeLaunch& both = fake_->launches[0];
  EXPECT_TRUE(both.extended);
  ASSERT_EQ(2u, both.attributes.size());
  EXPECT_EQ(kCuLaunchClusterDimension, both.attributes[0].id);
  EXPECT_EQ(4u, both.attributes[0].value.cluster[0]);
  EXPECT_EQ(2u, both.attributes[0].value.cluster[1]);
  EXPECT_EQ(1u, both.attributes[0].value.cluster[2]);
  EXPECT_EQ(kCuLaunchProgrammaticSerialization, both.attributes[1].id);
  EXPECT_EQ(1, both.attributes[1].value.programmatic_serialization);
  ASSERT_EQ(1u, fake_->launches[1].attributes.size());
  EXPECT_EQ(16u, fake_->launches[1].attributes[0].value.cluster[0]);
  // more than 8 blocks are allowed once
  EXPECT_EQ((std::vector<std::pair<int32_t, int32_t>>{{kCuFunctionLargeClusters, 1}}), fake_->function_attributes);
}

TEST_F(CudaTest, OlderDevicesOverlapNothingAndHaveNoClusters) {
  fake_->devices = {{"Fake 8.0", 8, 0, 163 * 1024}};
  const auto driver = Load();
  KernelCache kernels(*driver, kTable);
  const ScopedContext context(*driver, 0);
  const Kernel& kernel = kernels.Find("self_test", "some_kernel");
  LaunchShape shape;
  shape.overlap = true;
  Launch(*driver, kernel, shape, nullptr);
  ASSERT_EQ(1u, fake_->launches.size());
  EXPECT_FALSE(fake_->launches[0].extended);
  shape.cluster = {2, 1, 1};
  EXPECT_EQ(
      "kernel some_kernel is launched in clusters of 2 blocks, which take compute capability 9.0 and a driver of CUDA "
      "11.8 or later; Fake 8.0 is 8.0 and the driver serves CUDA 13.0",
      Failure([&] { Launch(*driver, kernel, shape, nullptr); }));
}

TEST_F(CudaTest, SharedMemoryIsAskedForOnceAndOnlyWhereItIs) {
  fake_->static_shared_bytes = 1024;
  const auto driver = Load();
  KernelCache kernels(*driver, kTable);
  const ScopedContext context(*driver, 0);
  const Kernel& kernel = kernels.Find("self_test", "some_kernel");
  LaunchShape shape;
  for (const uint32_t bytes : {47u * 1024, 48u * 1024, 20u * 1024, 100u * 1024, 48u * 1024, 226u * 1024}) {
    shape.shared_bytes = bytes;
    Launch(*driver, kernel, shape, nullptr);
  }
  EXPECT_EQ((std::vector<std::pair<int32_t, int32_t>>{{kCuFunctionDynamicSharedBytes, 48 * 1024},
                                                      {kCuFunctionDynamicSharedBytes, 100 * 1024},
                                                      {kCuFunctionDynamicSharedBytes, 226 * 1024}}),
            fake_->function_attributes);
  shape.shared_bytes = 226 * 1024 + 1;
  EXPECT_EQ("kernel some_kernel needs 231425 bytes of shared memory, but Fake 9000 has 231424 left for a block",
            Failure([&] { Launch(*driver, kernel, shape, nullptr); }));
}

TEST_F(CudaTest, ALaunchThatIsRefusedTellsItsShape) {
  const auto driver = Load();
  KernelCache kernels(*driver, kTable);
  const ScopedContext context(*driver, 0);
  const Kernel& kernel = kernels.Find("self_test", "some_kernel");
  fake_->results = {{"cuLaunchKernel", kCuErrorInvalidValue}, {"cuLaunchKernelEx", kCuErrorInvalidValue}};
  LaunchShape shape;
  shape.grid = {0, 1, 1};
  shape.block = {64, 1, 1};
  EXPECT_EQ(
      "kernel some_kernel, grid 0 x 1 x 1, block 64 x 1 x 1, 0 bytes of shared memory: cuLaunchKernel failed: a test "
      "wants it (CUDA_ERROR_OF_A_TEST, 1)",
      Failure([&] { Launch(*driver, kernel, shape, nullptr); }));
  shape.overlap = true;
  EXPECT_NE(std::string::npos,
            Failure([&] { Launch(*driver, kernel, shape, nullptr); }).find("cuLaunchKernelEx failed"));
}

TEST_F(CudaTest, TheSelfTestComparesWhatTheKernelWrote) {
  const auto driver = Load();
  KernelCache kernels(*driver, kTable);
  EXPECT_EQ("sm_90a", RunSelfTest(*driver, &kernels, 0));
  EXPECT_EQ(0, fake_->allocations);
  fake_->self_test_error = 1;
  EXPECT_EQ("the self test wrote 218 at index 0 on Fake 9000, but 217 was to be there",
            Failure([&] { RunSelfTest(*driver, &kernels, 0); }));
  EXPECT_EQ(0, fake_->allocations);
}

TEST_F(CudaTest, EveryStepOfTheSelfTestMayFail) {
  const auto driver = Load();
  for (const char* function : {"cuDevicePrimaryCtxRetain", "cuCtxGetCurrent", "cuCtxSetCurrent", "cuCtxGetDevice",
                               "cuModuleLoadDataEx", "cuModuleGetFunction", "cuFuncGetAttribute", "cuMemAlloc_v2",
                               "cuMemsetD8Async", "cuLaunchKernel", "cuMemcpyDtoHAsync_v2", "cuStreamSynchronize"}) {
    KernelCache kernels(*driver, kTable);
    fake_->results = {{function, kCuErrorOutOfMemory}};
    const std::string failure = Failure([&] { RunSelfTest(*driver, &kernels, 0); });
    std::string name = function;
    if (name.size() > 3 && name.compare(name.size() - 3, 3, "_v2") == 0) {
      name.resize(name.size() - 3);
    }
    EXPECT_NE(std::string::npos, failure.find(name + " failed: a test wants it (CUDA_ERROR_OF_A_TEST, 2)"))
        << function << ": " << failure;
    fake_->results.clear();
    EXPECT_EQ(0, fake_->allocations) << function;
  }
  KernelCache kernels(*driver, kTable);
  EXPECT_THROW(RunSelfTest(*driver, &kernels, 1), ArgumentError);
}

const Image kSgmvImages[] = {
    {"sgmv_bf16", "sm_90a", kBytes, kBytes + 1},
    {"sgmv_f16", "compute_80", kBytes + 1, kBytes + 2},
};
const ImageTable kSgmvTable{kSgmvImages, 2, 13000};
const CuStream kStream = reinterpret_cast<CuStream>(0x77);

std::shared_ptr<const SgmvDevice> Open(const Driver& driver, KernelCache* kernels, int32_t index) {
  return OpenCudaDevice(driver, kernels, index, [] { return kStream; });
}

TEST_F(CudaTest, ADeviceLaunchesTheKernelsOfTheLibraryAndOfImages) {
  const auto driver = Load();
  {
    KernelCache cache(*driver, kSgmvTable);
    const auto device = Open(*driver, &cache, 0);
    EXPECT_TRUE(device->place().cuda);
    EXPECT_EQ(60 << 20, device->l2_bytes());
    const cuda::KernelLaunch fused{cuda::SgmvKernel::kDecodeFused, {16, 1, 1}, 256, 8, 100 * 1024, false};
    const cuda::KernelLaunch expand{cuda::SgmvKernel::kDecodeExpand, {2, 3, 4}, 256, 1, 1024, true};
    const auto embedded = device->Embedded(ElementType::kBFloat16);
    EXPECT_TRUE(embedded->clusters());
    embedded->Launch(fused, {});
    {
      const auto given = device->Load(ElementType::kFloat16, kBytes + 9);
      EXPECT_EQ(kBytes + 9, fake_->images.back());
      EXPECT_EQ(2, fake_->modules);
      given->Launch(expand, {});
    }
    EXPECT_EQ(1, fake_->modules) << "what was given goes with its kernels";
    ASSERT_EQ(2u, fake_->launches.size());
    EXPECT_EQ("sgmv_decode_fused_bf16", fake_->launches[0].kernel);
    EXPECT_EQ(kStream, fake_->launches[0].stream);
    EXPECT_EQ(8u, fake_->launches[0].attributes[0].value.cluster[0]);
    EXPECT_EQ("sgmv_decode_expand_f16", fake_->launches[1].kernel);
    EXPECT_EQ((std::array<uint32_t, 3>{2, 3, 4}), fake_->launches[1].grid);
    EXPECT_EQ(kCuLaunchProgrammaticSerialization, fake_->launches[1].attributes[0].id);
  }
  EXPECT_EQ(0, fake_->modules);
}

TEST_F(CudaTest, PtxOfAnOlderArchitectureHasNoClustersOnANewerDevice) {
  const auto driver = Load();
  KernelCache cache(*driver, kSgmvTable);
  const auto device = Open(*driver, &cache, 0);
  fake_->ptx_version = 80;
  EXPECT_FALSE(device->Embedded(ElementType::kFloat16)->clusters());
}

TEST_F(CudaTest, AnImageThatDoesNotFitIsNamedAndLeavesNothing) {
  const auto driver = Load();
  KernelCache cache(*driver, kTable);
  const auto device = Open(*driver, &cache, 0);
  EXPECT_EQ("no image of the CUDA kernels sgmv_bf16 suits Fake 9000 of compute capability 9.0",
            Failure([&] { device->Embedded(ElementType::kBFloat16); }));
  fake_->load = [](const void*, char* log) {
    std::strcpy(log, "ptxas fatal: what is this");
    return kCuErrorInvalidPtx;
  };
  EXPECT_EQ(
      "the image does not load on Fake 9000 of compute capability 9.0: cuModuleLoadDataEx failed: a test wants it "
      "(CUDA_ERROR_OF_A_TEST, 218): ptxas fatal: what is this",
      Failure([&] { device->Load(ElementType::kBFloat16, kBytes); }));
  fake_->load = nullptr;
  fake_->find = [](const std::string& kernel) {
    return kernel == "sgmv_tile_shrink_bf16" ? kCuErrorNotFound : kCuSuccess;
  };
  EXPECT_EQ(
      "kernel sgmv_tile_shrink_bf16 of the image: cuModuleGetFunction failed: a test wants it (CUDA_ERROR_OF_A_TEST, "
      "500)",
      Failure([&] { device->Load(ElementType::kBFloat16, kBytes); }));
  EXPECT_EQ(0, fake_->modules);
}

TEST_F(CudaTest, AnImageStaysWhereTheDeviceDoesNotEnd) {
  const auto driver = Load();
  KernelCache cache(*driver, kSgmvTable);
  const auto device = Open(*driver, &cache, 0);
  auto given = device->Load(ElementType::kBFloat16, kBytes);
  fake_->results = {{"cuCtxSynchronize", kCuErrorInvalidValue}};
  given = nullptr;
  EXPECT_EQ(1, fake_->modules);
}

TEST_F(CudaTest, TimesAreTheDevicesOwn) {
  const auto driver = Load();
  KernelCache cache(*driver, kSgmvTable);
  const auto device = Open(*driver, &cache, 0);
  int calls = 0;
  EXPECT_EQ(1000.0, device->Time([&] { ++calls; })) << "the fake's events are a millisecond apart";
  EXPECT_EQ(1, calls);
  for (const char* function :
       {"cuStreamIsCapturing", "cuEventCreate", "cuEventRecord", "cuEventSynchronize", "cuEventElapsedTime"}) {
    fake_->results = {{function, kCuErrorInvalidValue}};
    EXPECT_EQ(std::string(function) + " failed: a test wants it (CUDA_ERROR_OF_A_TEST, 1)",
              Failure([&] { device->Time([] {}); }));
  }
  fake_->results.clear();
  fake_->capturing = true;
  EXPECT_EQ("kernels cannot be timed while a CUDA graph is captured", Failure([&] { device->Time([] {}); }));
  EXPECT_EQ(0, fake_->events);
}

class OldCudaTest : public CudaTest {
 protected:
  OldCudaTest() : CudaTest("libfake_cuda_old.so") {}
};

TEST_F(OldCudaTest, ADriverWithoutExtendedLaunchesDoesWithoutOverlap) {
  fake_->version = 11040;
  const auto driver = Load();
  EXPECT_FALSE(driver->cuLaunchKernelEx.found());
  KernelCache kernels(*driver, kTable);
  const ScopedContext context(*driver, 0);
  const Kernel& kernel = kernels.Find("self_test", "some_kernel");
  LaunchShape shape;
  shape.overlap = true;
  Launch(*driver, kernel, shape, nullptr);
  ASSERT_EQ(1u, fake_->launches.size());
  EXPECT_FALSE(fake_->launches[0].extended);
  shape.cluster = {2, 1, 1};
  EXPECT_NE(std::string::npos,
            Failure([&] { Launch(*driver, kernel, shape, nullptr); }).find("the driver serves CUDA 11.4"));
}

TEST(TorchStreamTest, LibtorchsStreamIsFoundWhereItIsLoaded) {
  const std::string path = InTestFolder("libfake_torch_cuda.so");
  EXPECT_EQ("this process's libtorch has no CUDA (" + path + " is not loaded)",
            Failure([&] { FindTorchStreamFunction(path.c_str()); }));
  const DynamicLibrary library(path.c_str(), DynamicLibrary::Mode::kLoad);
  ASSERT_TRUE(library.opened()) << library.error();
  void* stream = nullptr;
  EXPECT_EQ(0, FindTorchStreamFunction(path.c_str())(3, &stream));
  EXPECT_EQ(reinterpret_cast<void*>(0x103), stream);
}

TEST(TorchStreamTest, ALibtorchWithoutTheFunctionIsTold) {
  const std::string path = InTestFolder("libfake_torch_cuda_lacking.so");
  const DynamicLibrary library(path.c_str(), DynamicLibrary::Mode::kLoad);
  ASSERT_TRUE(library.opened()) << library.error();
  EXPECT_EQ(path + " has no function aoti_torch_get_current_cuda_stream; libtorch 2.7 or later is needed",
            Failure([&] { FindTorchStreamFunction(path.c_str()); }));
}

TEST(TorchStreamTest, ACpuBuildOfLibtorchHasNone) {
  if (TorchHasCuda()) {
    GTEST_SKIP() << "this libtorch is a CUDA build";
  }
  EXPECT_EQ("this process's libtorch has no CUDA (libtorch_cuda.so is not loaded)",
            Failure([] { CurrentTorchStream(0); }));
}

TEST(CudaProcessTest, TheDriverOfThisMachineIsThereOrItsReasonIs) {
  const ProcessDriver& found = FindProcessDriver();
  EXPECT_EQ(&found, &FindProcessDriver());
  if (found.driver == nullptr) {
    EXPECT_FALSE(found.reason.empty());
    EXPECT_EQ(found.reason, Failure([] { RequireDriver(); }));
    EXPECT_EQ(found.reason, Failure([] { ProcessKernels(); }));
    return;
  }
  EXPECT_TRUE(found.reason.empty());
}

TEST(CudaProcessTest, TheKernelsRunOnEveryDeviceOfThisMachine) {
  const ProcessDriver& found = FindProcessDriver();
  if (found.driver == nullptr) {
    GTEST_SKIP() << found.reason;
  }
  if (EmbeddedImages().count == 0) {
    GTEST_SKIP() << "built without nvcc";
  }
  for (size_t i = 0; i < found.driver->devices().size(); ++i) {
    const DeviceInfo& device = found.driver->devices()[i];
    const std::string target = RunSelfTest(*found.driver, &ProcessKernels(), static_cast<int32_t>(i));
    EXPECT_EQ(SuitableImages(EmbeddedImages(), "self_test", device.major, device.minor)[0]->target, target);
  }
}

}  // namespace
}  // namespace djl_lora
