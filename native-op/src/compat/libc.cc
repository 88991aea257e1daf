// SPDX-License-Identifier: Apache-2.0
//
// Newer compilers refer to symbols that older systems' libraries lack. Defined here, and kept inside this library by
// the linker's map, they let one binary run wherever libtorch itself does.
#include <new>

#if defined(__linux__)

// NOLINTBEGIN(bugprone-reserved-identifier): the names are the libraries' own

extern "C" {
// glibc 2.32: lets reference counts skip atomic instructions while a process has one thread. A JVM never has.
extern const char __libc_single_threaded;
const char __libc_single_threaded = 0;
}

namespace std {
// libstdc++ of GCC 11.
[[noreturn]] void __throw_bad_array_new_length();
void __throw_bad_array_new_length() { throw std::bad_array_new_length(); }
}  // namespace std

// NOLINTEND(bugprone-reserved-identifier)

#endif
