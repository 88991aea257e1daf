#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Prints the path of what CUDA takes at build time, or says on stderr in one line why there is none and fails.
#   find.sh            nvcc, which compiles the kernels that the native library carries
#   find.sh nvrtc      libnvrtc.so.12, which compiles them at run time; here for the tests of that
#   find.sh torch      libtorch's headers (their library.h), for the tests' libtorch with an emulated GPU
# The first that is there, of:
#   DJL_LORA_NVCC, DJL_LORA_NVRTC, DJL_LORA_TORCH   the file that the variable names
#   nvcc of the PATH, of CUDA_HOME, of /usr/local/cuda or of the newest /usr/local/cuda-*; libnvrtc.so.12 of the last three
#   what an earlier run fetched
#   with DJL_LORA_CUDA=fetch           CUDA 13.0's nvcc, CUDA 12.6's NVRTC and PyTorch 2.7.1's headers, from the wheels
#                                      below, checked by their hashes, into DJL_LORA_CUDA_DIR (default: djl-lora in
#                                      XDG_CACHE_HOME or ~/.cache). NVIDIA's licence applies to the first two:
#                                      https://docs.nvidia.com/cuda/eula/
# DJL_LORA_CUDA=off finds none.
set -euo pipefail

readonly host=https://files.pythonhosted.org/packages
# Folder on the host, file, and SHA-256. Together they are what compiles a kernel: the driver program, its passes, and
# the headers of the runtime and of half precision (which include one of CCCL's).
readonly -a nvcc_wheels=(
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
# JCuda's natives are of CUDA 12.
readonly -a nvrtc_wheels=(
  "f5/31/ffb400c5ae99daf09687aa6c42831c5d824f71c4851363ed2a4a1ac52bab
   nvidia_cuda_nvrtc_cu12-12.6.85-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl
   800927308ccc5dd6246d3f61f7fcef2ed7ec4e59e199090d360d3293f78bd5a2"
)

# The smallest wheel of the release that the native library is linked to; headers are the same for every system.
readonly -a torch_wheels=(
  "5b/2b/d36d57c66ff031f93b4fa432e86802f84991477e522adcdffd314454326b
   torch-2.7.1-cp311-none-macosx_11_0_arm64.whl
   aea4fc1bf433d12843eb2c6b2204861f43d8364597697074c8d38ae2507f8730"
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

# All of an archive, or what lies in one folder of it.
unpack() {
  if command -v unzip >/dev/null; then
    unzip -q -o "$1" ${3:+"$3/*"} -d "$2"
  elif command -v jar >/dev/null; then
    (cd "$2" && jar xf "$1" ${3:+"$3"})
  elif [[ -x "${JAVA_HOME:-}/bin/jar" ]]; then
    (cd "$2" && "$JAVA_HOME/bin/jar" xf "$1" ${3:+"$3"})
  else
    echo "neither unzip nor jar is there"
    return 1
  fi
}

# Fills a folder of its own and renames it, so that what is there is always whole.
fetch() {
  local target=$1 file=$2 wheel folder name hash reason
  shift 2
  [[ "$(uname -s)-$(uname -m)" == Linux-x86_64 ]] || fail "$what cannot be fetched for $(uname -s)-$(uname -m)"
  mkdir -p "$(dirname "$target")"
  work=$(mktemp -d "$target.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  for wheel in "$@"; do
    read -r -d '' folder name hash <<<"$wheel" || true # fails where it ends without a zero, as it always does
    reason=$(download "$host/$folder/$name" "$work/$name" 2>&1) || fail "$what cannot be fetched: $name: $reason"
    [[ "$(sha256sum "$work/$name" | cut -d' ' -f1)" == "$hash" ]] ||
      fail "$what cannot be fetched: $name does not have the SHA-256 that it should"
    reason=$(unpack "$work/$name" "$work" "${part:-}" 2>&1) || fail "$what cannot be fetched: $name: $reason"
    rm "$work/$name"
  done
  find "$work" -path '*/bin/*' -type f -exec chmod +x {} +
  mv -T "$work" "$target" 2>/dev/null || [[ -f "$target/$file" ]] || fail "$what cannot be fetched: cannot make $target"
}

# Prints the first of the files that is there, and ends.
first_of() {
  local file
  for file in "$@"; do
    if [[ -f "$file" ]]; then
      echo "$file"
      exit
    fi
  done
}

case "${1:-nvcc}" in
  nvcc)
    what=nvcc variable=DJL_LORA_NVCC fetched=nvcc-13.0.88 file=nvidia/cu13/bin/nvcc
    advice="install CUDA 12.8 or later"
    ;;
  nvrtc)
    what=libnvrtc.so.12 variable=DJL_LORA_NVRTC fetched=nvrtc-12.6.85 file=nvidia/cuda_nvrtc/lib/libnvrtc.so.12
    advice="install CUDA 12"
    ;;
  torch)
    what="libtorch's headers" variable=DJL_LORA_TORCH fetched=torch-2.7.1-headers part=torch/include
    file=$part/torch/library.h
    ;;
  *)
    sed -n '5,7s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
case "${DJL_LORA_CUDA:-}" in
  off) fail "DJL_LORA_CUDA is off" ;;
  '' | fetch) ;;
  *) fail "DJL_LORA_CUDA is \"$DJL_LORA_CUDA\", but it may be fetch or off" ;;
esac
if [[ -n "${!variable:-}" ]]; then
  [[ -f "${!variable}" ]] || fail "$variable names ${!variable}, which is no file"
  echo "${!variable}"
  exit
fi
shopt -s nullglob
toolkits=(${CUDA_HOME:+"$CUDA_HOME"} /usr/local/cuda)
installed=(/usr/local/cuda-*) # none with nullglob, where printf would print an empty line
if [[ ${#installed[@]} -gt 0 ]]; then
  while read -r folder; do
    toolkits+=("$folder")
  done < <(printf '%s\n' "${installed[@]}" | sort --version-sort --reverse)
fi
case "$variable" in
  DJL_LORA_NVCC) first_of "$(command -v nvcc || true)" "${toolkits[@]/%//bin/nvcc}" ;;
  DJL_LORA_NVRTC) first_of "${toolkits[@]/%//lib64/libnvrtc.so.12}" ;;
esac
# absolute, since jar unpacks into the folder that it runs in
place=$(realpath --canonicalize-missing "${DJL_LORA_CUDA_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/djl-lora}/$fetched")
readonly place
if [[ ! -f "$place/$file" ]]; then
  [[ "${DJL_LORA_CUDA:-}" == fetch ]] ||
    fail "$what not found (${advice:+$advice, }name the file by $variable, or set DJL_LORA_CUDA=fetch)"
  case "$variable" in
    DJL_LORA_NVCC) fetch "$place" "$file" "${nvcc_wheels[@]}" ;;
    DJL_LORA_NVRTC) fetch "$place" "$file" "${nvrtc_wheels[@]}" ;;
    DJL_LORA_TORCH) fetch "$place" "$file" "${torch_wheels[@]}" ;;
  esac
fi
echo "$place/$file"
