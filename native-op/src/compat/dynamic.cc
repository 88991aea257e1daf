// SPDX-License-Identifier: Apache-2.0
#include "compat/dynamic.h"

#include <dlfcn.h>

// glibc 2.34 moved these functions into libc and gave them a new version. The old version is still there, and is the
// one that older systems have, in libdl, which libtorch itself needs.
#if defined(__linux__) && defined(__GLIBC__) && defined(__x86_64__)
__asm__(".symver dlopen,dlopen@GLIBC_2.2.5");
__asm__(".symver dlsym,dlsym@GLIBC_2.2.5");
__asm__(".symver dlclose,dlclose@GLIBC_2.2.5");
__asm__(".symver dlerror,dlerror@GLIBC_2.2.5");
#endif

namespace djl_lora {

DynamicLibrary::DynamicLibrary(const char* name, Mode mode)
    : handle_(dlopen(name, RTLD_NOW | (mode == Mode::kOnlyIfLoaded ? RTLD_NOLOAD : 0))) {
  if (handle_ == nullptr) {
    const char* reason = dlerror();  // null where a library is merely not loaded
    error_ = reason != nullptr ? reason : std::string(name) + " is not loaded";
  }
}

DynamicLibrary::~DynamicLibrary() {
  if (handle_ != nullptr) {
    dlclose(handle_);
  }
}

void* DynamicLibrary::Find(const char* symbol) const { return dlsym(handle_, symbol); }

}  // namespace djl_lora
