#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Fuzzes the readers of adapter files: anything but reading an input or refusing it with a LoraException is a find.
#
#   run.sh [executions] [reader...]    20000 executions of each reader, and every reader, if nothing else is said
#
#   FUZZ_JOBS      how many readers are fuzzed at once (2)
#   FUZZ_HEAP      the JVM's heap for each reader (512m)
#   FUZZ_TIMEOUT   seconds that one input may take (10)
#   MVN_OFFLINE    if set, Maven downloads nothing
#
# An input that is a find is left in djl-lora-op/target/fuzz/<reader>/, and its bytes belong, once the reader is right,
# into djl-lora-op/src/test/resources/fuzz/<reader>/, which the tests run without a fuzzer.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

declare -A classes=(
    [safetensors]=ai.djl.lora.safetensors.SafetensorsFuzzer
    [config]=ai.djl.lora.format.ConfigFuzzer
    [names]=ai.djl.lora.format.NamesFuzzer
    [archive]=ai.djl.lora.format.ArchiveFuzzer
    [gguf]=ai.djl.lora.format.GgufFuzzer
    [pickle]=ai.djl.lora.format.PickleFuzzer
    [packed]=ai.djl.lora.format.PackedFuzzer
)
order=(safetensors config names archive gguf pickle packed)

executions=${1:-20000}
[[ $executions =~ ^[1-9][0-9]*$ ]] || {
    echo "usage: run.sh [executions] [${order[*]}]..." >&2
    exit 2
}
[ $# -eq 0 ] || shift
readers=("${@:-${order[@]}}")
for reader in "${readers[@]}"; do
    [ -n "${classes[$reader]:-}" ] || {
        echo "run.sh: no reader $reader, there are ${order[*]}" >&2
        exit 2
    }
done

jobs=${FUZZ_JOBS:-2}
heap=${FUZZ_HEAP:-512m}
timeout=${FUZZ_TIMEOUT:-10}
java=${JAVA_HOME:+$JAVA_HOME/bin/}java
# The optimising compiler costs a short run more than it gains.
compiler=()
[ "$executions" -gt 100000 ] || compiler=(-XX:TieredStopAtLevel=1)
work=$PWD/djl-lora-op/target/fuzz
mkdir -p "$work"

mvn -q -B ${MVN_OFFLINE:+-o} -Pfuzz -pl djl-lora-op -am -DskipTests -Dlint.skip=true \
    test-compile org.apache.maven.plugins:maven-dependency-plugin:build-classpath \
    -Dmdep.includeScope=test -Dmdep.outputFile="$work/classpath"
classpath=djl-lora-op/target/test-classes:djl-lora-op/target/classes:$(<"$work/classpath")

# Fuzzes one reader and says how it went; what it says goes to standard output at once, so that lines stay whole.
fuzz() {
    local reader=$1 log=$work/$1/log started=$SECONDS status=0 count cover
    mkdir -p "$work/$reader/corpus"
    # Expressions in a configuration are compiled by design, and are bounded where they are matched.
    "$java" -Xmx"$heap" -XX:+UseSerialGC "${compiler[@]}" -cp "$classpath" com.code_intelligence.jazzer.Jazzer \
        --target_class="${classes[$reader]}" \
        --instrumentation_includes='ai.djl.lora.**:org.apache.commons.compress.archivers.**:com.google.gson.stream.**' \
        --disabled_hooks=com.code_intelligence.jazzer.sanitizers.RegexInjection \
        --reproducer_path="$work/$reader" \
        -artifact_prefix="$work/$reader/" -runs="$executions" -timeout="$timeout" -rss_limit_mb=2500 \
        -max_len=4608 -print_final_stats=1 \
        "$work/$reader/corpus" "djl-lora-op/src/test/resources/fuzz/$reader" >"$log" 2>&1 || status=$?
    count=$(LC_ALL=C sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    cover=$(grep -ao 'cov: [0-9]*' "$log" | tail -1 || true)
    if [ "$status" -eq 0 ]; then
        echo "$reader: ${count:-?} executions in $((SECONDS - started)) s, ${cover:-no coverage}, no find"
        return
    fi
    echo "$reader: FIND after ${count:-?} executions; the log and the input are in $work/$reader
$(grep -am1 -A12 '^== Java Exception\|^==.*ERROR' "$log" || tail -20 "$log")" | cut -c1-400
    return 1
}

failed=0
for reader in "${readers[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do
        wait -n || failed=1
    done
    fuzz "$reader" &
done
while [ -n "$(jobs -p)" ]; do
    wait -n || failed=1
done
exit "$failed"
