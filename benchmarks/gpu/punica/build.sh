#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
#   build.sh NVCC SOURCES LIBRARY [ARCHITECTURE]
# Compiles Punica's kernels for the shapes that bench.py measures into a shared library without libtorch. SOURCES is the
# folder that fetch.sh filled.

set -euo pipefail
here=$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd)
nvcc=$1 sources=$2 library=$3 architecture=${4:-sm_90}
mkdir -p "$(dirname "$library")"
# the compiler from PyPI keeps its libraries beside itself, where it does not look
libraries=$(dirname "$(realpath "$nvcc")")/../lib
# first beside its place, so that what lies there is whole
"$nvcc" -O3 -std=c++17 -arch="$architecture" -shared -Xcompiler -fPIC -diag-suppress 179 \
    -L "$libraries" -cudadevrt none -I "$here/stub" -I "$sources/punica/bgmv" -o "$library.$$" "$here/kernels.cu"
mv "$library.$$" "$library"
