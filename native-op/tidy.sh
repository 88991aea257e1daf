#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs clang-tidy over the C++ sources; what it finds is an error (.clang-tidy). The files for AVX2, AVX-512 and AMX are
# left out: they hold nothing but intrinsics around the templates that kernels_portable.cc is checked with.
#   tidy.sh JAVA_HOME
set -euo pipefail
cd "$(dirname "$0")"

if [[ $# -ne 1 ]]; then
  sed -n '4,6s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
find src -name '*.cc' ! -name '*avx*' ! -name '*amx*' -print0 |
  xargs -0 -P "$(nproc)" -n 4 sh -c 'home=$0; clang-tidy --quiet "$@" -- -std=c++17 -Isrc -fopenmp \
    -I"$home/include" -I"$home/include/linux" -DDJL_LORA_VERSION="\"0\"" 2>/dev/null' "$1"
