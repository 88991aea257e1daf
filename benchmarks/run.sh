#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds what is missing and runs the operator's benchmarks under JMH; --help lists the options.
# With --leases those of leasing adapters instead.
#
#   JAVA_HOME   the JDK to use, 17 or later; otherwise the java on the PATH
#   JAVA_OPTS   further options of the JVMs, such as -Xmx8g

set -euo pipefail
root=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=$root/benchmarks/target
stamp=$target/run.stamp
java=${JAVA_HOME:+$JAVA_HOME/bin/}java
command -v "$java" >/dev/null || {
    echo "run.sh: $java not found; install a JDK 17 or later, or set JAVA_HOME" >&2
    exit 2
}

# Whether nothing that the benchmarks consist of has changed since they were built.
is_fresh() {
    [ -e "$stamp" ] || return 1
    local newer
    newer=$(cd "$root" && find . \
        \( -path ./.git -o -name target -o -path ./src -o -path ./docs -o -path ./tools \
        -o -path ./examples -o -path './*/src/test' \) -prune \
        -o -type f \( -name pom.xml -o -path './*/src/*' -o -name CMakeLists.txt \) \
        -newer "$stamp" -print -quit)
    [ -z "$newer" ]
}

if ! is_fresh; then
    echo "run.sh: building (the first time, and when sources have changed)" >&2
    mkdir -p "$target"
    touch "$stamp.new"
    (cd "$root" && mvn -q -B -pl benchmarks -am package -DskipTests -Dmaven.test.skip=true -Dlint.skip=true \
        -Djacoco.skip=true -Dmaven.source.skip=true) >&2
    mv "$stamp.new" "$stamp"
fi

jar=$(find "$target" -maxdepth 1 -name 'benchmarks-*.jar' ! -name '*-sources.jar' ! -name '*-javadoc.jar' -print -quit)
options=(-Dai.djl.offline=true -Dorg.slf4j.simpleLogger.defaultLogLevel=warn "-Djava.io.tmpdir=${TMPDIR:-/tmp}")
version=$("$java" -version 2>&1 | sed -n 's/.*version "\([0-9][0-9]*\).*/\1/p' | head -n 1)
if [ "${version:-0}" -ge 22 ]; then
    options+=(--enable-native-access=ALL-UNNAMED) # without it they warn where a library calls into native code
fi
main=BenchmarkCommand
if [ "${1:-}" = --leases ]; then
    shift
    main=LeaseCommand
fi
export DJL_OFFLINE=true OPT_OUT_TRACKING=true

# JMH hands these options on to the JVMs in which it measures.
# shellcheck disable=SC2086 # JAVA_OPTS holds several options
exec "$java" ${JAVA_OPTS:-} "${options[@]}" -cp "$jar:$target/lib/*" "ai.djl.lora.benchmarks.$main" "$@"
