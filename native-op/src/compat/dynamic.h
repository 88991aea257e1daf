// SPDX-License-Identifier: Apache-2.0
//
// Libraries that are looked for at run time and may be missing.
#ifndef DJL_LORA_COMPAT_DYNAMIC_H_
#define DJL_LORA_COMPAT_DYNAMIC_H_

#include <string>

namespace djl_lora {

// A shared library of the process. Closed with this object, so a library whose functions are kept must be kept too.
class DynamicLibrary {
 public:
  enum class Mode { kLoad, kOnlyIfLoaded };

  // Opens the library that the name, or the path, names.
  DynamicLibrary(const char* name, Mode mode);
  DynamicLibrary(const DynamicLibrary&) = delete;
  DynamicLibrary& operator=(const DynamicLibrary&) = delete;
  ~DynamicLibrary();

  bool opened() const { return handle_ != nullptr; }
  // Why it was not opened, in the system's words.
  const std::string& error() const { return error_; }
  // The address of a symbol, or null.
  void* Find(const char* symbol) const;

 private:
  void* handle_;
  std::string error_;
};

}  // namespace djl_lora

#endif  // DJL_LORA_COMPAT_DYNAMIC_H_
