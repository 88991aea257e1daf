#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds the native tests with sanitizers and runs them.
#   sanitize.sh LIBTORCH_DIR JAVA_HOME [address|thread]...     both without a third argument
# address: addresses and undefined behaviour, in every file with clang++. Where that or its libraries are missing g++ takes
# its place, which sees neither undefined behaviour in the files for AVX-512 and AMX nor what masked loads and stores
# reach. What a tile's load or store reaches is seen by neither.
# thread: races in the threaded tests, with clang++ and its libomp, whose Archer tool tells ThreadSanitizer what OpenMP
# orders (g++'s libgomp would report races that are none). Accesses of more than 16 bytes are not looked at: of vectors
# of 32 and 64 bytes the sanitizer says nothing, in any file.
# A sanitizer whose compiler is missing is an error, except with DJL_LORA_SANITIZE_SKIP=1, where it is said and left out.
set -euo pipefail
cd "$(dirname "$0")"

if [[ $# -lt 2 ]]; then
  sed -n '5,12s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
readonly libtorch=$1 java_home=$2
shift 2
[[ $# -gt 0 ]] || set -- address thread

run() {
  local kind=$1 compiler=$2 sanitizers=$3 filter=$4
  if ! command -v "$compiler" >/dev/null; then
    echo "sanitize.sh: $compiler not found, which $kind needs" >&2
    [[ "${DJL_LORA_SANITIZE_SKIP:-0}" == 1 ]] && return 0
    return 1
  fi
  local dir=target/sanitize-$kind-$compiler  # CMake forgets its settings where the compiler changes
  mkdir -p "$dir"
  if ! { cmake -S . -B "$dir" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_CXX_COMPILER="$compiler" \
    -DLIBTORCH_DIR="$libtorch" -DJAVA_HOME="$java_home" -DDJL_LORA_SANITIZE="$sanitizers" &&
    cmake --build "$dir" --target djl_lora_test --parallel "$(nproc)"; } >"$dir.log" 2>&1; then
    cat "$dir.log" >&2
    return 1
  fi
  echo "sanitize.sh: $sanitizers"
  # libtorch is not instrumented: it keeps what it registered until the process ends, and prints every refusal.
  local status=0
  ASAN_OPTIONS=detect_leaks=1 LSAN_OPTIONS="suppressions=$PWD/test/lsan.supp:print_suppressions=0" \
    UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
    TSAN_OPTIONS="ignore_noninstrumented_modules=1:halt_on_error=1:suppressions=$PWD/test/tsan.supp" \
    ARCHER_OPTIONS="verbose=0" OMP_NUM_THREADS=4 \
    "$dir/djl_lora_test" --gtest_brief=1 --gtest_filter="$filter" 2>"$dir.err" || status=$?
  if [[ $status != 0 ]]; then
    grep -A 40 -E 'ERROR: |WARNING: ThreadSanitizer|runtime error|SUMMARY' "$dir.err" >&2 || tail -40 "$dir.err" >&2
  fi
  return "$status"
}

for kind in "$@"; do
  case "$kind" in
    address)
      compiler=clang++
      if ! clang++ -x c++ -fopenmp -fsanitize=address,undefined -o /dev/null - <<<'int main() {}' 2>/dev/null; then
        echo "sanitize.sh: no clang++ with libomp and sanitizers found; g++ leaves out parts of AVX-512 and AMX" >&2
        compiler=g++
      fi
      run address "$compiler" address,undefined '*'
      ;;
    thread) run thread clang++ thread 'SgmvTest*:LinearTest*:Table*Test*:LayersTest*:*PutAndRemoveWhileSgmvRuns:CudaTest*' ;;
    *)
      echo "sanitize.sh: $kind is neither address nor thread" >&2
      exit 2
      ;;
  esac
done
