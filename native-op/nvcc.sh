#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Prints the path of CUDA's compiler, or says on stderr in one line why there is none and fails.
#   nvcc.sh
# It is, in this order:
#   DJL_LORA_NVCC                    the nvcc that this variable names
#   nvcc of the PATH, of CUDA_HOME, of /usr/local/cuda or of the newest /usr/local/cuda-*
#   the one that an earlier run fetched
#   with DJL_LORA_CUDA=fetch         CUDA 13.0's, from the wheels below, checked by their hashes, into DJL_LORA_CUDA_DIR
#                                    (default: djl-lora in XDG_CACHE_HOME or ~/.cache). NVIDIA's licence applies to them:
#                                    https://docs.nvidia.com/cuda/eula/
# DJL_LORA_CUDA=off finds none.
set -euo pipefail

readonly release=13.0.88
readonly host=https://files.pythonhosted.org/packages
# Folder on the host, file, and SHA-256. Together they are what compiles a kernel: the driver program, its passes, and
# the headers of the runtime and of half precision (which include one of CCCL's).
readonly -a wheels=(
  "71/8b/a546c12881fffeba927d810598987df25d74b8b241788c7db8dfc93b0173
   nvidia_cuda_nvcc-13.0.88-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl
   56fe502eb77625a12f25172caa3cdddb4e4c8ba2c8c17dba44b164761b380f03"
  "05/69/a1ec4d9f0747d85964206feb47bf359f48a2d6af74c0add8abba6efe3dda
   nvidia_cuda_crt-13.0.88-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl
   2c8043c7c9e02492716426e9919fc78d2c5b3b2a7a768a88e952676b08aa55a4"
  "15/b0/ee41e6d1108d959b5097163e7190c2d0f7857dea75606ce358f0275891b4
   nvidia_nvvm-13.0.88-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl
   c5f41ffeb6466944a026dfa5317d7d85355c119bbec279205d22f1869d1054e0"
  "b1/1d/9ea7b0d420efcae3c546feb3ca14334c0d710ac19c156ac48fce07c3d6ae
   nvidia_cuda_runtime-13.0.88-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl
   422a38f7c739ecbdd3a4b6ec7ed0a1d74db43d8e9bc26685f3d845638922b178"
  "ab/fb/0384bb2129bed6b1b39f8e44471c615ab5ab29b7e55817538a1d390d8f84
   nvidia_cuda_cccl-13.0.85-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl
   e0da7ad981f3a8aff08241b5bfc1af868742a63e2762f53a5171c492ef242649"
)

fail() {
  echo "$1" >&2
  exit 1
}

download() {
  if command -v curl >/dev/null; then
    curl --fail --silent --show-error --location --retry 3 --connect-timeout 20 --output "$2" "$1"
  elif command -v wget >/dev/null; then
    wget --quiet --tries=3 --timeout=60 --output-document="$2" "$1"
  else
    echo "neither curl nor wget is there"
    return 1
  fi
}

unpack() {
  if command -v unzip >/dev/null; then
    unzip -q -o "$1" -d "$2"
  elif command -v jar >/dev/null; then
    (cd "$2" && jar xf "$1")
  elif [[ -x "${JAVA_HOME:-}/bin/jar" ]]; then
    (cd "$2" && "$JAVA_HOME/bin/jar" xf "$1")
  else
    echo "neither unzip nor jar is there"
    return 1
  fi
}

# Fills a folder of its own and renames it, so that what is there is always whole.
fetch() {
  local target=$1 wheel folder name hash reason
  [[ "$(uname -s)-$(uname -m)" == Linux-x86_64 ]] || fail "nvcc cannot be fetched for $(uname -s)-$(uname -m)"
  mkdir -p "$(dirname "$target")"
  work=$(mktemp -d "$target.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  for wheel in "${wheels[@]}"; do
    read -r -d '' folder name hash <<<"$wheel" || true
    reason=$(download "$host/$folder/$name" "$work/$name" 2>&1) || fail "nvcc cannot be fetched: $name: $reason"
    [[ "$(sha256sum "$work/$name" | cut -d' ' -f1)" == "$hash" ]] ||
      fail "nvcc cannot be fetched: $name does not have the SHA-256 that it should"
    reason=$(unpack "$work/$name" "$work" 2>&1) || fail "nvcc cannot be fetched: $name: $reason"
    rm "$work/$name"
  done
  chmod +x "$work"/nvidia/cu13/bin/* "$work"/nvidia/cu13/nvvm/bin/*
  mv -T "$work" "$target" 2>/dev/null || [[ -x "$target/nvidia/cu13/bin/nvcc" ]] ||
    fail "nvcc cannot be fetched: cannot make $target"
}

usable() { [[ -n "$1" && -x "$1" && ! -d "$1" ]]; }

if [[ "${DJL_LORA_CUDA:-}" == off ]]; then
  fail "DJL_LORA_CUDA is off"
fi
if [[ ! "${DJL_LORA_CUDA:-fetch}" == fetch ]]; then
  fail "DJL_LORA_CUDA is \"$DJL_LORA_CUDA\", but it may be fetch or off"
fi
if [[ -n "${DJL_LORA_NVCC:-}" ]]; then
  usable "$DJL_LORA_NVCC" || fail "DJL_LORA_NVCC names $DJL_LORA_NVCC, which is no program"
  echo "$DJL_LORA_NVCC"
  exit
fi
for candidate in "$(command -v nvcc || true)" "${CUDA_HOME:+$CUDA_HOME/bin/nvcc}" /usr/local/cuda/bin/nvcc \
  $(compgen -G '/usr/local/cuda-*/bin/nvcc' | sort --version-sort --reverse); do
  if usable "$candidate"; then
    echo "$candidate"
    exit
  fi
done
readonly fetched=${DJL_LORA_CUDA_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/djl-lora}/nvcc-$release
if [[ ! -x "$fetched/nvidia/cu13/bin/nvcc" ]]; then
  [[ "${DJL_LORA_CUDA:-}" == fetch ]] ||
    fail "nvcc not found (install CUDA 12.8 or later, name an nvcc by DJL_LORA_NVCC, or set DJL_LORA_CUDA=fetch)"
  fetch "$fetched"
fi
echo "$fetched/nvidia/cu13/bin/nvcc"
