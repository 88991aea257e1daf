// SPDX-License-Identifier: Apache-2.0
//
// The emulated driver, called as a real one would be. A program of its own, since the library stays loaded.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/errors.h"
#include "compat/dynamic.h"
#include "cuda/driver.h"
#include "cuda/images.h"
#include "cuda/self_test.h"

namespace djl_lora {

// The driver takes any image, so the compiled ones are not needed here.
const ImageTable& EmbeddedImages() {
  static const ImageTable none{nullptr, 0, 0};
  return none;
}

namespace {

constexpr const char* kLibrary = DJL_LORA_EMULATED_CUDA;
constexpr int64_t kMemory = 1 << 20;

class EmulatedCudaTest : public testing::Test {
 protected:
  EmulatedCudaTest() : library_(kLibrary, DynamicLibrary::Mode::kLoad) {
    if (!library_.opened()) {
      throw std::runtime_error(library_.error());
    }
    Control<void(int32_t, int32_t, int32_t, int64_t)>("emulated_cuda_configure")(2, 9, 0, kMemory);
    driver_ = Driver::Load(kLibrary);
  }

  template <typename Function>
  Function* Control(const char* name) const {
    return reinterpret_cast<Function*>(library_.Find(name));
  }
  int64_t Count(const char* what) const { return Control<int64_t(const char*)>("emulated_cuda_count")(what); }
  void Hold(CuStream stream) const { Control<void(CuStream)>("emulated_cuda_hold")(stream); }
  void LetGo(CuStream stream) const { Control<void(CuStream)>("emulated_cuda_let_go")(stream); }

  DynamicLibrary library_;
  std::unique_ptr<const Driver> driver_;
};

using StreamCreate = CuResult(CuStream*, uint32_t);
using StreamDestroy = CuResult(CuStream);

TEST_F(EmulatedCudaTest, ItIsLoadedInPlaceOfADriver) {
  const std::unique_ptr<const Driver> by_name = Driver::Load();
  ASSERT_EQ(2u, by_name->devices().size());
  EXPECT_EQ("Emulated", by_name->devices()[0].name);
  EXPECT_EQ(kMemory, by_name->devices()[1].memory_bytes);
}

TEST_F(EmulatedCudaTest, KernelsRunInTheOrderOfTheirStream) {
  static constexpr unsigned char kBytes[] = "an image";
  const Image image{"self_test", "sm_90a", kBytes, kBytes + sizeof(kBytes)};
  const ImageTable table{&image, 1, 13000};
  KernelCache kernels(*driver_, table);
  EXPECT_EQ("sm_90a", RunSelfTest(*driver_, &kernels, 0));
  EXPECT_EQ(0, Count("allocations"));
}

TEST_F(EmulatedCudaTest, WorkIsDoneLaterAndAnEventTellsWhen) {
  const ScopedContext context(*driver_, 0);
  CuStream held = nullptr;
  CuStream other = nullptr;
  ASSERT_EQ(kCuSuccess, Control<StreamCreate>("cuStreamCreate")(&held, 1));
  ASSERT_EQ(kCuSuccess, Control<StreamCreate>("cuStreamCreate")(&other, 1));
  CuDevicePtr memory = 0;
  driver_->cuMemAlloc(&memory, 64);
  CuEvent copied = nullptr;
  CuEvent waited = nullptr;
  driver_->cuEventCreate(&copied, kCuEventDisableTiming);
  driver_->cuEventCreate(&waited, 0);
  EXPECT_EQ(kCuSuccess, driver_->cuEventQuery.Try(copied)) << "never recorded";

  Hold(held);
  driver_->cuMemsetD8Async(memory, 7, 64, held);
  driver_->cuEventRecord(copied, held);
  driver_->cuStreamWaitEvent(other, copied, 0);
  driver_->cuEventRecord(waited, other);
  EXPECT_EQ(kCuErrorNotReady, driver_->cuEventQuery.Try(copied));
  EXPECT_EQ(kCuErrorNotReady, driver_->cuEventQuery.Try(waited));
  // another stream, which waits for nothing, goes on
  std::vector<char> bytes(64);
  driver_->cuMemcpyDtoHAsync(bytes.data(), memory, 64, nullptr);
  LetGo(held);
  driver_->cuEventSynchronize(waited);
  EXPECT_EQ(kCuSuccess, driver_->cuEventQuery.Try(copied));
  driver_->cuMemcpyDtoHAsync(bytes.data(), memory, 64, nullptr);
  EXPECT_EQ(std::vector<char>(64, 7), bytes);
  float milliseconds = -1;
  EXPECT_NE(kCuSuccess, driver_->cuEventElapsedTime.Try(&milliseconds, copied, waited)) << "one has no times";

  for (CuEvent each : {copied, waited}) {
    driver_->cuEventDestroy(each);
  }
  driver_->cuMemFree(memory);
  EXPECT_EQ(kCuSuccess, Control<StreamDestroy>("cuStreamDestroy_v2")(held));
  EXPECT_EQ(kCuSuccess, Control<StreamDestroy>("cuStreamDestroy_v2")(other));
  for (const char* what : {"events", "allocations", "streams"}) {
    EXPECT_EQ(0, Count(what)) << what;
  }
}

TEST_F(EmulatedCudaTest, TheDefaultStreamAndBlockingStreamsWaitForEachOther) {
  const ScopedContext context(*driver_, 0);
  CuStream blocking = nullptr;
  ASSERT_EQ(kCuSuccess, Control<StreamCreate>("cuStreamCreate")(&blocking, 0));
  CuEvent event = nullptr;
  driver_->cuEventCreate(&event, 0);
  Hold(blocking);
  driver_->cuEventRecord(event, nullptr);
  EXPECT_EQ(kCuErrorNotReady, driver_->cuEventQuery.Try(event));
  LetGo(blocking);
  driver_->cuStreamSynchronize(nullptr);
  EXPECT_EQ(kCuSuccess, driver_->cuEventQuery.Try(event));
  driver_->cuEventDestroy(event);
  EXPECT_EQ(kCuSuccess, Control<StreamDestroy>("cuStreamDestroy_v2")(blocking));
}

TEST_F(EmulatedCudaTest, MemoryEndsAtWhatIsConfigured) {
  const ScopedContext context(*driver_, 1);
  CuDevicePtr first = 0;
  CuDevicePtr second = 0;
  driver_->cuMemAlloc(&first, kMemory - 100);
  EXPECT_EQ(kCuErrorOutOfMemory, driver_->cuMemAlloc.Try(&second, 101));
  size_t free_bytes = 0;
  size_t total_bytes = 0;
  driver_->cuMemGetInfo(&free_bytes, &total_bytes);
  EXPECT_EQ(100u, free_bytes);
  EXPECT_EQ(static_cast<size_t>(kMemory), total_bytes);
  EXPECT_EQ(kCuErrorInvalidValue, driver_->cuMemsetD8Async.Try(first, 0, kMemory - 99, nullptr)) << "beyond its end";
  driver_->cuMemFree(first);
  EXPECT_EQ(kCuErrorInvalidValue, driver_->cuMemFree.Try(first)) << "a second time";
}

TEST_F(EmulatedCudaTest, ACallWithoutAContextIsRefused) {
  CuDevicePtr memory = 0;
  std::atomic<CuResult> result{kCuSuccess};
  std::thread([&] { result = driver_->cuMemAlloc.Try(&memory, 1); }).join();
  EXPECT_EQ("cuMemAlloc failed: invalid device context (CUDA_ERROR_INVALID_CONTEXT, 201)",
            driver_->ErrorText("cuMemAlloc", result));
}

TEST_F(EmulatedCudaTest, AFunctionFailsAsOftenAsItIsTold) {
  const ScopedContext context(*driver_, 0);
  Control<void(const char*, int32_t, int32_t)>("emulated_cuda_fail")("cuMemAlloc_v2", kCuErrorOutOfMemory, 1);
  CuDevicePtr memory = 0;
  EXPECT_EQ(kCuErrorOutOfMemory, driver_->cuMemAlloc.Try(&memory, 1));
  EXPECT_EQ(kCuSuccess, driver_->cuMemAlloc.Try(&memory, 1));
  driver_->cuMemFree(memory);
}

}  // namespace
}  // namespace djl_lora
