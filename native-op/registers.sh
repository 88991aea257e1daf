#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Prints what the compiler said of the CUDA kernels as a table in Markdown: registers, shared memory and spills.
#   registers.sh FOLDER          that holds the reports compile_kernel.sh wrote, such as target/cmake/cuda
# Fails if a kernel whose name has "decode" in it spills registers to memory, and if the compiler warned of anything.
set -euo pipefail

if [[ $# -ne 1 ]]; then
  sed -n '5,6s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
shopt -s nullglob
readonly reports=("$1"/*.cubin.txt)
if [[ ${#reports[@]} -eq 0 ]]; then
  echo "registers.sh: $1 has no reports of CUDA kernels" >&2
  exit 1
fi

awk '
  function finish() {
    if (kernel != "") {
      printf "| `%s` | %s | %d | %d | %d | %d | %d |\n", kernel, target, registers, shared, stack, stores, loads
      if (kernel ~ /decode/ && stores + loads > 0) {
        printf "registers.sh: %s spills on %s: %d bytes stored, %d loaded\n", kernel, target, stores, loads \
          > "/dev/stderr"
        bad = 1
      }
    }
    kernel = ""
  }
  BEGIN {
    print "| kernel | target | registers | shared bytes | stack bytes | spilled bytes stored | loaded |"
    print "|---|---|---:|---:|---:|---:|---:|"
  }
  FNR == 1 { finish() }
  tolower($0) ~ /warning|performance loss/ {
    printf "registers.sh: %s: %s\n", FILENAME, $0 > "/dev/stderr"
    bad = 1
  }
  /Compiling entry function/ {
    finish()
    split($0, quoted, "\047")
    kernel = quoted[2]
    target = quoted[4]
    registers = shared = stack = stores = loads = 0
    kernels++
  }
  kernel != "" && /bytes stack frame/ {
    stack = $1
    stores = $5
    loads = $9
  }
  kernel != "" && /Used [0-9]+ registers/ {
    match($0, /Used [0-9]+ registers/)
    registers = substr($0, RSTART + 5) + 0
    if (match($0, /[0-9]+ bytes smem/)) {
      shared = substr($0, RSTART) + 0
    }
  }
  END {
    finish()
    if (kernels == 0) {
      print "registers.sh: the reports name no kernel" > "/dev/stderr"
      bad = 1
    }
    exit bad
  }
' "${reports[@]}"
