#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds the native library and its tests, and puts the library where the jar takes it from. Maven runs this; by hand:
#   build.sh build VERSION JAVA_HOME     after mvn -pl native-op process-classes has unpacked libtorch
#   build.sh test
# A machine that lacks a tool builds everything else: one line says what is missing, and Java code finds no library.
set -euo pipefail
cd "$(dirname "$0")"

readonly platform=linux-x86_64
readonly libtorch="$PWD/target/libtorch/pytorch/cpu/$platform"
readonly cmake_dir=target/cmake
readonly resources=target/classes/native/lib

skip() {
  echo "native-op: $1; building without the native library"
  rm -rf "${resources:?}/$platform"
  exit 0
}

build() {
  local version=$1 java_home=$2
  # what an earlier build wrote must not outlive its library
  sed -i '/^sha256\./d' "$resources/djl_lora.properties"
  [[ "$(uname -s)-$(uname -m)" == Linux-x86_64 ]] || skip "no build for $(uname -s)-$(uname -m) yet"
  local tool
  for tool in g++ cmake make; do
    command -v "$tool" >/dev/null || skip "$tool not found"
  done
  [[ -f "$java_home/include/jni.h" ]] || skip "$java_home/include/jni.h not found"
  [[ -f "$libtorch/libtorch_cpu.so" ]] || skip "$libtorch/libtorch_cpu.so not found"

  local nvcc headers=
  if ! nvcc=$(./find.sh 2>&1); then
    echo "native-op: built without CUDA kernels: $nvcc"
    nvcc=
  elif ! headers=$(./find.sh torch 2>&1); then
    echo "native-op: built without the tests' libtorch with an emulated GPU: $headers"
    headers=
  fi
  nvcc=${nvcc##*$'\n'}
  headers=${headers##*$'\n'}

  local log=$cmake_dir.log
  if ! {
    cmake -S . -B "$cmake_dir" -G "Unix Makefiles" -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=g++ \
      -DLIBTORCH_DIR="$libtorch" -DDJL_LORA_VERSION="$version" -DJAVA_HOME="$java_home" \
      -DNVCC="$nvcc" -DTORCH_INCLUDE="${headers%/torch/library.h}" \
      -DJNI_HEADERS="$PWD/target/native-headers" && cmake --build "$cmake_dir" --parallel "$(nproc)"
  } >"$log" 2>&1; then
    cat "$log" >&2
    echo "native-op: the native library does not compile" >&2
    exit 1
  fi
  grep -o 'native-op: .*' "$log" || true

  mkdir -p "$resources/$platform"
  cmp -s "$cmake_dir/libdjl_lora.so" "$resources/$platform/libdjl_lora.so" ||
    cp "$cmake_dir/libdjl_lora.so" "$resources/$platform/"
  echo "sha256.$platform=$(sha256sum "$resources/$platform/libdjl_lora.so" | cut -d' ' -f1)" \
    >>"$resources/djl_lora.properties"
}

run_tests() {
  if [[ -x $cmake_dir/djl_lora_test ]]; then
    (cd "$cmake_dir" && ctest --output-on-failure)
  fi
}

case "${1:-}" in
  build) build "$2" "$3" ;;
  test) run_tests ;;
  *)
    echo "usage: build.sh build VERSION JAVA_HOME | build.sh test" >&2
    exit 2
    ;;
esac
