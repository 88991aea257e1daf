// SPDX-License-Identifier: Apache-2.0
#include "cpu/isa.h"

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "cpu/amx_permission.h"
#include "cpu/features.h"

namespace djl_lora {

namespace {

bool Has(const char* feature) {
  const std::string padded = " " + CpuFeatures() + " ";
  return padded.find(" " + std::string(feature) + " ") != std::string::npos;
}

std::vector<Isa> Detect() {
  std::vector<Isa> isas = {Isa::kPortable};
  if (!Has("avx2") || !Has("fma") || !Has("f16c")) {
    return isas;
  }
  isas.push_back(Isa::kAvx2);
  if (!Has("avx512f") || !Has("avx512bw") || !Has("avx512dq") || !Has("avx512vl")) {
    return isas;
  }
  isas.push_back(Isa::kAvx512);
  if (Has("avx512_bf16")) {
    isas.push_back(Isa::kAvx512Bf16);
    if (Has("amx_tile") && Has("amx_bf16") && RequestAmx()) {
      isas.push_back(Isa::kAmx);
    }
  }
  return isas;
}

Isa Choose() {
  const std::vector<Isa>& isas = SupportedIsas();
  const char* name = std::getenv("DJL_LORA_ISA");
  if (name != nullptr) {
    for (const Isa isa : isas) {
      if (std::strcmp(name, IsaName(isa)) == 0) {
        return isa;
      }
    }
  }
  // Intel's cores take two cycles for a bfloat16 dot product of 32 pairs and half a cycle for a multiply-add of 16, so
  // widening is the faster way there; AMD's do two dot products in a cycle.
  if (isas.back() == Isa::kAvx512Bf16 && !CpuIsAmd()) {
    return Isa::kAvx512;
  }
  return isas.back();
}

std::atomic<Isa>& Active() {
  static std::atomic<Isa> active{Choose()};
  return active;
}

}  // namespace

const char* IsaName(Isa isa) {
  static const char* const kNames[] = {"portable", "avx2", "avx512", "avx512_bf16", "amx"};
  return kNames[static_cast<int>(isa)];
}

const std::vector<Isa>& SupportedIsas() {
  static const std::vector<Isa>* const kIsas = new std::vector<Isa>(Detect());
  return *kIsas;
}

Isa ActiveIsa() { return Active().load(std::memory_order_relaxed); }

void SetActiveIsa(Isa isa) { Active().store(isa, std::memory_order_relaxed); }

}  // namespace djl_lora
