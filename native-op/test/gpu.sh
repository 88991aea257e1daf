#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# All checks and measurements that need a GPU, on a machine that has one with a driver and Python's torch; it needs no
# network, JDK, Maven or CMake. Whatever a step does, the later ones run; each ends after its time.
#   gpu.sh OUT [LIBRARY [STEP...]]
# OUT       a folder for what is found: summary.txt, log.txt, results.json, cuda-speed.md, profile.txt
# LIBRARY   libdjl_lora.so, as built on any machine (it carries the kernels); default: target/cmake/libdjl_lora.so
# STEP      which ones, in this order; default: all, 25 minutes at most
#     machine     what is there                                                  (1 minute at most)
#     cpp         djl_lora_test's part that needs a device, where it lies beside the library (1)
#     python      load_in_python.py: the operators on each path, in a replayed graph (2)
#     jit         jit_in_python.py: kernels compiled at run time, their bits and times (2)
#     check       every path once more, on small shapes                          (2)
#     bench       benchmarks/gpu/bench.py, with the peers that fetch.sh fetched  (7)
#     memcheck    both of the checks under compute-sanitizer                     (3)
#     racecheck                                                                  (3)
#     synccheck                                                                  (2)
#     profile     what Nsight Compute counts in the kernels of the decode case   (2)
# PYTHON    the Python that has torch; default: python3
# Ends with 1 if a step failed.

set -uo pipefail
here=$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd -P "$here/../.." && pwd)

if [[ $# -lt 1 ]]; then
  sed -n '6,22s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
mkdir -p "$1" || exit 2
out=$(cd -P "$1" && pwd)
library=$(realpath -m "${2:-$here/../target/cmake/libdjl_lora.so}")
shift $(($# < 2 ? $# : 2))
[[ $# -gt 0 ]] || set -- machine cpp python jit check bench memcheck racecheck synccheck profile
if [[ ! -f $library ]]; then
  echo "gpu.sh: $library is not there" >&2
  exit 2
fi
python=${PYTHON:-python3}
readonly bench=$root/benchmarks/gpu/bench.py
export PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# where the toolkit lies on machines that do not have it on the path
PATH=$PATH:/usr/local/cuda/bin
failed=0

say() {
  printf '%s\n' "$*" | tee -a "$out/log.txt" "$out/summary.txt"
}

# step NAME SECONDS COMMAND...: 0 when it ended well
step() {
  local name=$1 limit=$2 begin=$SECONDS code
  shift 2
  printf '\n== %s: %s\n' "$name" "$*" | tee -a "$out/log.txt"
  timeout --kill-after=10 "$limit" "$@" 2>&1 | tee -a "$out/log.txt"
  code=${PIPESTATUS[0]}
  local took="after $((SECONDS - begin)) s"
  case $code in
    0) say "$name: passed $took" ;;
    124 | 137) say "$name: FAILED, ended $took, its time was over" ;;
    *) say "$name: FAILED with $code $took" ;;
  esac
  ((code == 0)) || failed=1
  return "$code"
}

# Leaves a step out that needs a program which is not there.
has() {
  command -v "$2" >/dev/null || {
    say "$1: left out, $2 is not there"
    return 1
  }
}

# Takes the Python and the library as arguments; what is missing is no failure here.
# shellcheck disable=SC2016
readonly machine='
nvidia-smi
nvidia-smi --query-gpu=name,driver_version,compute_cap,memory.total,pcie.link.gen.max,pcie.link.width.max --format=csv
for program in nvcc compute-sanitizer ncu; do
  command -v "$program" && "$program" --version | tail -n 2
done
nproc
sha256sum "$2"
"$1" -c "import torch, triton; print(torch.__version__, triton.__version__, torch.cuda.get_device_name(0))"
'

cpp() {
  local test libtorch
  test=$(dirname "$library")/djl_lora_test
  if [[ ! -x $test ]]; then
    say "cpp: left out, $test is not there"
    return
  fi
  libtorch=$("$python" -c 'import os, torch; print(os.path.join(os.path.dirname(torch.__file__), "lib"))')
  step cpp 60 env LD_LIBRARY_PATH="$libtorch" "$test" --gtest_filter='CudaProcessTest.*:CudaImagesTest.*'
}

run_bench() {
  local code page=$out/cuda-speed.md
  step bench 430 "$python" "$bench" "$library" --seconds 330 --json "$out/results.json" --markdown "$page"
  code=$?
  if [[ ! -f $page && -f $out/results.json ]]; then # it ended on the way, but wrote what it had
    "$python" "$root/benchmarks/gpu/report.py" "$out/results.json" >"$page"
  fi
  if ((code == 3 || code > 128)); then # a peer may have broken the device for the whole process
    step "bench without peers" 240 "$python" "$bench" "$library" --no-peers --seconds 180 \
      --json "$out/results-alone.json" --markdown "$out/cuda-speed-alone.md"
  fi
}

sanitizer() {
  local tool=$1 limit=$2 options
  has "$tool" compute-sanitizer || return
  # only our kernels: libtorch's need not be looked at, and make this take minutes
  options=(--tool "$tool" --error-exitcode 9 --launch-timeout 120 --report-api-errors no
    --kernel-name 'regex=sgmv_|attention_|layers_')
  step "$tool, small shapes" "$limit" compute-sanitizer "${options[@]}" \
    "$python" "$bench" "$library" --tiny --check --no-peers
  step "$tool, load_in_python" "$limit" compute-sanitizer "${options[@]}" \
    "$python" "$here/load_in_python.py" "$library"
}

profile() {
  has profile ncu || return
  # the case of the bars alone, after its first pass; clocks stay as they are
  step profile 120 ncu --clock-control none --kernel-name 'regex:sgmv_' --launch-skip 8 --launch-count 8 \
    --section SpeedOfLight --section MemoryWorkloadAnalysis --section Occupancy --section LaunchStats \
    --section WarpStateStats --log-file "$out/profile.txt" \
    "$python" "$bench" "$library" --check --no-peers --case '64 rows, 64 adapters of rank 16'
}

: >"$out/log.txt"
: >"$out/summary.txt"
for name; do
  case $name in
    machine) step machine 60 bash -c "$machine" machine "$python" "$library" ;;
    cpp) cpp ;;
    python) step python 120 "$python" "$here/load_in_python.py" "$library" ;;
    jit) step jit 120 "$python" "$here/jit_in_python.py" "$library" ;;
    check) step check 120 "$python" "$bench" "$library" --tiny --check --no-peers ;;
    bench) run_bench ;;
    memcheck) sanitizer memcheck 90 ;;
    racecheck) sanitizer racecheck 90 ;;
    synccheck) sanitizer synccheck 60 ;;
    profile) profile ;;
    *)
      say "$name: FAILED, there is no such step"
      failed=1
      ;;
  esac
done
printf '\n== summary\n'
cat "$out/summary.txt"
exit "$failed"
