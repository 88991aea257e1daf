#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs `bin/djl-lora bench throughput` under async-profiler and draws where the time of the engine's thread went.
#   profile.sh FILE.svg [options of bench throughput]
# Linux only; the profiler comes from Maven Central.

set -euo pipefail
root=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
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
profiler=$root/benchmarks/target/profiler
stacks=$profiler/stacks.txt
agent=$profiler/$platform/libasyncProfiler.so

if [ ! -e "$agent" ]; then
    (cd "$root" && mvn -q -B -pl benchmarks dependency:unpack -Dartifact=tools.profiler:async-profiler:4.1 \
        -DoutputDirectory="$profiler")
fi
# what the launcher and the build print is not the report
"$root/bin/djl-lora" --version >/dev/null
(cd "$root" && mvn -q -B -pl benchmarks -am test-compile -Dlint.skip=true) >&2

# one sample a millisecond of a thread's own processor time; warming up is a small part of seven rounds
export JAVA_OPTS="${JAVA_OPTS:-} -agentpath:$agent=start,event=ctimer,interval=1ms,threads,cstack=dwarf,collapsed,file=$stacks"
"$root/bin/djl-lora" bench throughput "$@"
unset JAVA_OPTS
"${JAVA_HOME:+$JAVA_HOME/bin/}java" -cp "$root/benchmarks/target/classes" ai.djl.lora.benchmarks.profile.FlameGraph \
    "$stacks" "$svg"
