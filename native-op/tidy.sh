#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs clang-tidy over the C++ sources and their headers; what it finds is an error (.clang-tidy).
#   tidy.sh JAVA_HOME
set -euo pipefail
cd "$(dirname "$0")"

if [[ $# -ne 1 ]]; then
  sed -n '4,5s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
readonly java_home=$1

# The instruction sets that a file is compiled for, as in CMakeLists.txt.
flags_of() {
  local avx2='-mavx2 -mfma -mf16c'
  local avx512="$avx2 -mavx512f -mavx512bw -mavx512dq -mavx512vl"
  case "$1" in
    */kernels_avx2.cc) echo "$avx2" ;;
    */kernels_avx512.cc) echo "$avx512" ;;
    */kernels_avx512_bf16.cc) echo "$avx512 -mavx512bf16" ;;
    */kernels_amx.cc) echo "$avx512 -mavx512bf16 -mamx-tile -mamx-bf16" ;;
  esac
}

check() {
  local file=$1
  # The source folder in full: headers are told by their paths (HeaderFilterRegex). What goes to stderr counts warnings
  # in other people's headers.
  # shellcheck disable=SC2046 # one word for each flag
  clang-tidy --quiet "$file" -- -std=c++17 "-I$PWD/src" -fopenmp $(flags_of "$file") \
    "-I$java_home/include" "-I$java_home/include/linux" -DDJL_LORA_VERSION='"0"' 2>/dev/null
}
export java_home
export -f check flags_of

find src -name '*.cc' -print0 | xargs -0 -P "$(nproc)" -n 1 bash -c 'check "$0"'
