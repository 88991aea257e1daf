# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What the scripts of the benchmarks begin with. Sourced by them: sets root, target, java, jar and options, and builds
# the benchmarks when they have not been built, or something that they consist of has changed.
#
#   JAVA_HOME   the JDK to use, 17 or later; otherwise the java on the PATH

root=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=$root/benchmarks/target
stamp=$target/run.stamp
java=${JAVA_HOME:+$JAVA_HOME/bin/}java
command -v "$java" >/dev/null || {
    echo "${0##*/}: $java not found; install a JDK 17 or later, or set JAVA_HOME" >&2
    exit 2
}

# Whether nothing that the benchmarks consist of has changed since they were built.
is_fresh() {
    [ -e "$stamp" ] || return 1
    local newer
    newer=$(cd "$root" && find . \
        \( -path ./.git -o -name target -o -path ./src -o -path ./docs -o -path ./tools \
        -o -path ./benchmarks/peers -o -path ./examples -o -path './*/src/test' \) -prune \
        -o -type f \( -name pom.xml -o -path './*/src/*' -o -name CMakeLists.txt \) \
        -newer "$stamp" -print -quit)
    [ -z "$newer" ]
}

if ! is_fresh; then
    echo "${0##*/}: building (the first time, and when sources have changed)" >&2
    mkdir -p "$target"
    touch "$stamp.new"
    (cd "$root" && mvn -q -B -pl benchmarks -am package -DskipTests -Dmaven.test.skip=true -Dlint.skip=true \
        -Djacoco.skip=true -Dmaven.source.skip=true) >&2
    mv "$stamp.new" "$stamp"
fi

# shellcheck disable=SC2034 # for the scripts that source this one
jar=$(find "$target" -maxdepth 1 -name 'benchmarks-*.jar' ! -name '*-sources.jar' ! -name '*-javadoc.jar' -print -quit)
options=(-Dai.djl.offline=true -Dorg.slf4j.simpleLogger.defaultLogLevel=warn "-Djava.io.tmpdir=${TMPDIR:-/tmp}")
version=$("$java" -version 2>&1 | sed -n 's/.*version "\([0-9][0-9]*\).*/\1/p' | head -n 1)
if [ "${version:-0}" -ge 22 ]; then
    options+=(--enable-native-access=ALL-UNNAMED) # without it they warn where a library calls into native code
fi
export DJL_OFFLINE=true OPT_OUT_TRACKING=true
