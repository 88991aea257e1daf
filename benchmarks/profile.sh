#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs `bin/djl-lora bench throughput` under async-profiler and draws where the time of the engine's thread went.
#   profile.sh FILE.svg [options of bench throughput]
# Linux only; the profiler comes from Maven Central.

set -euo pipefail
[ $# -ge 1 ] || {
    echo "usage: profile.sh FILE.svg [options of bench throughput]" >&2
    exit 2
}
case $(uname -s)-$(uname -m) in
    Linux-x86_64) platform=linux-x64 ;;
    Linux-aarch64) platform=linux-arm64 ;;
    *)
        echo "profile.sh: async-profiler has no build for $(uname -s)-$(uname -m)" >&2
        exit 2
        ;;
esac
svg=$(realpath "$1")
shift
# shellcheck source-path=SCRIPTDIR source=build.sh
source "$(dirname "${BASH_SOURCE[0]}")/build.sh"
profiler=$root/benchmarks/target/profiler
stacks=$profiler/stacks.txt
agent=$profiler/$platform/libasyncProfiler.so

if [ ! -e "$agent" ]; then
    (cd "$root" && mvn -q -B -pl benchmarks dependency:unpack -Dartifact=tools.profiler:async-profiler:4.1 \
        -DoutputDirectory="$profiler")
fi
"$root/bin/djl-lora" --version >/dev/null # builds it: what a build samples is not wanted

# one sample a millisecond of a thread's own processor time; warming up is a small part of seven rounds
export JAVA_OPTS="${JAVA_OPTS:-} -agentpath:$agent=start,event=ctimer,interval=1ms,threads,cstack=dwarf,collapsed,file=$stacks"
"$root/bin/djl-lora" bench throughput "$@"
unset JAVA_OPTS
"$java" -cp "$jar" ai.djl.lora.benchmarks.profile.FlameGraph "$stacks" "$svg"
