// SPDX-License-Identifier: Apache-2.0
#include "common/errors.h"

#include <cstdarg>
#include <cstdio>

namespace djl_lora {

namespace {

std::string FormatList(const char* format, va_list arguments) {
  va_list again;
  va_copy(again, arguments);
  const int length = std::vsnprintf(nullptr, 0, format, arguments);
  std::string text(length > 0 ? static_cast<size_t>(length) : 0, '\0');
  if (length > 0) {
    std::vsnprintf(&text[0], text.size() + 1, format, again);
  }
  va_end(again);
  return text;
}

}  // namespace

LastError& ThreadLastError() {
  thread_local LastError error;
  return error;
}

std::string Format(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::string text = FormatList(format, arguments);
  va_end(arguments);
  return text;
}

void Refuse(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::string text = FormatList(format, arguments);
  va_end(arguments);
  throw ArgumentError(text);
}

}  // namespace djl_lora
