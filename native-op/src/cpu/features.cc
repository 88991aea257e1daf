// SPDX-License-Identifier: Apache-2.0
#include "cpu/features.h"

#if defined(__x86_64__)
#include <cpuid.h>

#include <cstdint>
#endif

namespace djl_lora {

namespace {

#if defined(__x86_64__)

// Which register states the operating system saves and restores; a feature is of no use without its state.
uint64_t EnabledStates() {
  uint32_t low;
  uint32_t high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<uint64_t>(high) << 32) | low;
}

std::string Detect() {
  std::string names;
  auto add = [&names](bool present, const char* name) {
    if (present) {
      names += names.empty() ? "" : " ";
      names += name;
    }
  };
  auto bit = [](uint32_t word, int index) { return ((word >> index) & 1u) != 0; };
  uint32_t eax;
  uint32_t ebx;
  uint32_t ecx;
  uint32_t edx;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || !bit(ecx, 27)) {  // OSXSAVE
    return names;
  }
  const uint64_t states = EnabledStates();
  const bool avx = (states & 0x6) == 0x6;
  const bool avx512 = (states & 0xe6) == 0xe6;
  const bool amx = (states & 0x60000) == 0x60000;
  const bool fma = bit(ecx, 12);
  const bool f16c = bit(ecx, 29);
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) {
    return names;
  }
  uint32_t eax1 = 0;
  if (eax >= 1) {
    uint32_t unused_b;
    uint32_t unused_c;
    uint32_t unused_d;
    __get_cpuid_count(7, 1, &eax1, &unused_b, &unused_c, &unused_d);
  }
  add(avx && bit(ebx, 5), "avx2");
  add(avx && fma, "fma");
  add(avx && f16c, "f16c");
  add(avx512 && bit(ebx, 16), "avx512f");
  add(avx512 && bit(ebx, 17), "avx512dq");
  add(avx512 && bit(ebx, 30), "avx512bw");
  add(avx512 && bit(ebx, 31), "avx512vl");
  add(avx512 && bit(ecx, 11), "avx512_vnni");
  add(avx512 && bit(eax1, 5), "avx512_bf16");
  add(avx512 && bit(edx, 23), "avx512_fp16");
  add(amx && bit(edx, 24), "amx_tile");
  add(amx && bit(edx, 22), "amx_bf16");
  add(amx && bit(edx, 25), "amx_int8");
  return names;
}

bool DetectAmd() {
  uint32_t eax;
  uint32_t ebx;
  uint32_t ecx;
  uint32_t edx;
  return __get_cpuid(0, &eax, &ebx, &ecx, &edx) != 0 && ebx == signature_AMD_ebx && ecx == signature_AMD_ecx &&
         edx == signature_AMD_edx;
}

#else

std::string Detect() { return ""; }

bool DetectAmd() { return false; }

#endif

}  // namespace

const std::string& CpuFeatures() {
  static const std::string* const kFeatures = new std::string(Detect());
  return *kFeatures;
}

bool CpuIsAmd() {
  static const bool kAmd = DetectAmd();
  return kAmd;
}

}  // namespace djl_lora
