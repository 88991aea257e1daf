#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Fetches the kernels that bench.py compares with, from PyPI, into target/peers beside this file, which git ignores. They
# are other projects' under their own licences (Apache 2.0 all three) and are kept only there. Needs a network, curl,
# tar and unzip; 87 MB are downloaded, and the half megabyte of kernels in them is kept. Where nvcc is found
# (native-op/find.sh), Punica's are compiled as well; otherwise bench.py does that on the machine that runs it.
#
#   vLLM 0.33.0        lora_shrink and lora_expand, Triton
#   SGLang 0.5.23      the kernels of its backends triton, csgmv and triton_v2, Triton
#   Punica             BGMV in CUDA, as vLLM 0.5.3.post1 carried it. PyPI's package of that name is something else, and
#                      Punica's SGMV is on PyPI in no form, so that is not compared with.

set -euo pipefail
here=$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly host=https://files.pythonhosted.org/packages
readonly target=$here/target/peers

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# download FOLDER FILE SHA-256
download() {
    echo "fetching $2"
    curl --fail --silent --show-error --location --retry 3 --connect-timeout 20 --output "$work/$2" "$host/$1/$2"
    echo "$3  $work/$2" | sha256sum --check --quiet
}

download f7/25/aa5684e9c59d6fc75f78926b7f15e8d9adc7de2d9e6e7575b80776ad8169 vllm-0.33.0.tar.gz \
    f4c33c2503d52bb411146afa9618a4f48bed68912f617e6803ac8d76e4c74112
download 57/dd/0206d00b2ea5b163bbdd216e91cc4f23ea90fde8620db0a6272d4236b68e \
    sglang-0.5.23-cp311-cp311-manylinux_2_34_x86_64.whl \
    00b3cd5b265ac76c64185fbb6b95424f324ddd9f428d0306b77bc9db9d859937
download f0/df/e376361386ec310a9efc47ef0bb53e9e75e4568070953fbbf6469b1bc0c7 vllm-0.5.3.post1.tar.gz \
    2fd5c0d1b428f332963380b87196b2c331dc92b29dfa3efc32c4022cf0ac0c73

unpacked=$work/peers
mkdir -p "$unpacked/punica"
tar -xzf "$work/vllm-0.33.0.tar.gz" -C "$unpacked" --strip-components=1 \
    vllm-0.33.0/vllm/lora/ops/triton_ops vllm-0.33.0/LICENSE
mv "$unpacked/LICENSE" "$unpacked/vllm/LICENSE"
unzip -q "$work/sglang-0.5.23-cp311-cp311-manylinux_2_34_x86_64.whl" 'sglang/kernels/ops/lora/common/*' \
    'sglang/kernels/ops/lora/dense/*' 'sglang/srt/lora/dense/configs/*' 'sglang-*/licenses/*' -d "$unpacked"
tar -xzf "$work/vllm-0.5.3.post1.tar.gz" -C "$unpacked/punica" --strip-components=2 \
    vllm-0.5.3.post1/csrc/punica vllm-0.5.3.post1/csrc/cuda_compat.h

mkdir -p "$(dirname "$target")"
rm -rf "$target"
mv "$unpacked" "$target"

if nvcc=$("$here/../../native-op/find.sh" 2>&1); then
    "$here/punica/build.sh" "${nvcc##*$'\n'}" "$target/punica" "$target/libpunica.so"
else
    echo "Punica's kernels are not compiled yet: ${nvcc##*$'\n'}"
fi
du -sh "$target"
