// SPDX-License-Identifier: Apache-2.0
//
// How this library says no. Inside it a failed check is an exception; none crosses the library's edge: the operators
// turn it into libtorch's own error and the JNI bridge into a Java exception, and both keep the text.
#ifndef DJL_LORA_COMMON_ERRORS_H_
#define DJL_LORA_COMMON_ERRORS_H_

#include <stdexcept>
#include <string>

namespace djl_lora {

// The caller passed something that is not allowed; nothing was read or changed.
class ArgumentError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// libtorch failed at something that was asked of it.
class EngineError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

enum class ErrorKind { kNone, kArgument, kEngine };

// Why the last operator of this thread failed, for a caller that only sees libtorch's bare error code.
struct LastError {
  ErrorKind kind = ErrorKind::kNone;
  std::string message;
};

LastError& ThreadLastError();

// printf into a string.
[[gnu::format(printf, 1, 2)]] std::string Format(const char* format, ...);

// Throws ArgumentError with the formatted message.
[[noreturn, gnu::format(printf, 1, 2)]] void Refuse(const char* format, ...);

}  // namespace djl_lora

#endif  // DJL_LORA_COMMON_ERRORS_H_
