// SPDX-License-Identifier: Apache-2.0
#include "cuda/launch.h"

#include "common/errors.h"

namespace djl_lora {

namespace {

constexpr int32_t kHopper = 9;            // the first major version with clusters and overlap
constexpr uint32_t kPortableCluster = 8;  // blocks in a cluster that every such device allows

}  // namespace

void LaunchWithPointers(const Driver& driver, const Kernel& kernel, const LaunchShape& shape, CuStream stream,
                        void** arguments) {
  kernel.AllowSharedBytes(driver, shape.shared_bytes);
  const uint32_t cluster_blocks = shape.cluster[0] * shape.cluster[1] * shape.cluster[2];
  const bool extended = kernel.device().major >= kHopper && driver.cuLaunchKernelEx.found();
  if (cluster_blocks != 1 && !extended) {
    throw EngineError(Format(
        "kernel %s is launched in clusters of %u blocks, which take compute capability 9.0 and a "
        "driver of CUDA 11.8 or later; %s is %d.%d and the driver serves CUDA %s",
        kernel.name().c_str(), cluster_blocks, kernel.device().name.c_str(), static_cast<int>(kernel.device().major),
        static_cast<int>(kernel.device().minor), CudaVersionText(driver.version()).c_str()));
  }
  CuLaunchAttribute attributes[2] = {};
  uint32_t count = 0;
  if (cluster_blocks != 1) {
    if (cluster_blocks > kPortableCluster) {
      kernel.AllowLargeClusters(driver);
    }
    CuLaunchAttribute& attribute = attributes[count++];
    attribute.id = kCuLaunchClusterDimension;
    for (size_t i = 0; i < shape.cluster.size(); ++i) {
      attribute.value.cluster[i] = shape.cluster[i];
    }
  }
  if (shape.overlap && extended) {
    CuLaunchAttribute& attribute = attributes[count++];
    attribute.id = kCuLaunchProgrammaticSerialization;
    attribute.value.programmatic_serialization = 1;
  }
  CuResult result = kCuSuccess;
  if (count == 0) {
    result = driver.cuLaunchKernel.Try(kernel.function(), shape.grid[0], shape.grid[1], shape.grid[2], shape.block[0],
                                       shape.block[1], shape.block[2], shape.shared_bytes, stream, arguments, nullptr);
  } else {
    const CuLaunchConfig config{{shape.grid[0], shape.grid[1], shape.grid[2]},
                                {shape.block[0], shape.block[1], shape.block[2]},
                                shape.shared_bytes,
                                stream,
                                attributes,
                                count};
    result = driver.cuLaunchKernelEx.Try(&config, kernel.function(), arguments, nullptr);
  }
  if (result != kCuSuccess) {
    throw EngineError(Format("kernel %s, grid %u x %u x %u, block %u x %u x %u, %u bytes of shared memory: %s",
                             kernel.name().c_str(), shape.grid[0], shape.grid[1], shape.grid[2], shape.block[0],
                             shape.block[1], shape.block[2], shape.shared_bytes,
                             driver.ErrorText(count == 0 ? "cuLaunchKernel" : "cuLaunchKernelEx", result).c_str()));
  }
}

}  // namespace djl_lora
