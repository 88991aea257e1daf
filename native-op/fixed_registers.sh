#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Compiles the decode kernels for shapes as ai.djl.lora.jit does at run time, and prints what the compiler said of them.
#   fixed_registers.sh NVCC HOST_COMPILER [RANK/INPUTS]...
# Fails as registers.sh does. The compiler is nvcc; test/jit_in_python.py tells the same of NVRTC.
set -euo pipefail

if [[ $# -lt 2 ]]; then
  sed -n '5s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
readonly nvcc=$1 host_compiler=$2
shift 2
[[ $# -gt 0 ]] || set -- 8/4096 16/4096 32/4096 16/14336
here=$(dirname "$0")
work=$(mktemp -d)
readonly here work
trap 'rm -rf "$work"' EXIT

status=0
echo '| rank | inputs | kernel | target | registers | shared bytes | stack bytes | spilled bytes stored | loaded |'
echo '|---:|---:|---|---|---:|---:|---:|---:|---:|'
for shape in "$@"; do
  rank=${shape%/*} inputs=${shape#*/}
  for target in sm_80 sm_90a; do
    bash "$here/compile_kernel.sh" "$nvcc" "$host_compiler" "$here/src/cuda/kernels/sgmv_bf16.cu" "$target" \
      "$work/$rank-$inputs/$target.cubin" "-DDJL_LORA_RANK=$rank" "-DDJL_LORA_HIDDEN=$inputs"
  done
  # the tile kernels have no loops of a shape of their own
  bash "$here/registers.sh" "$work/$rank-$inputs" >"$work/table" || status=1
  grep _decode_ "$work/table" | sed "s/^/| $rank | $inputs /"
done
exit "$status"
