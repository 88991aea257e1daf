#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Compiles one file of kernels for one target, and keeps what the compiler says of each kernel beside the image, for
# registers.sh. CMake runs this.
#   compile_kernel.sh NVCC HOST_COMPILER SOURCE TARGET IMAGE [OPTION...]
# TARGET is such as sm_80, or compute_80 for PTX.
set -euo pipefail

readonly nvcc=$1 host_compiler=$2 source=$3 target=$4 image=$5
shift 5
case "$target" in
  sm_*) form=(-gencode "arch=compute_${target#sm_},code=$target" -cubin) ;;
  compute_*) form=(-gencode "arch=$target,code=$target" -ptx) ;;
  *)
    echo "compile_kernel.sh: $target is neither sm_* nor compute_*" >&2
    exit 2
    ;;
esac
mkdir -p "$(dirname "$image")"
if ! "$nvcc" -ccbin "$host_compiler" -std=c++17 -O3 "${form[@]}" -I "$(dirname "$source")/../.." --ptxas-options=-v \
  "$@" -o "$image.part" "$source" >"$image.txt" 2>&1; then
  cat "$image.txt" >&2
  rm -f "$image.part"
  exit 1
fi
mv "$image.part" "$image"
