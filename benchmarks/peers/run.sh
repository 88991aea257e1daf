#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Compares this project's engine with llama.cpp, PEFT and Jlama, which take turns with it at the same work. The first
# time it fetches them and compiles llama.cpp for this machine, which needs the network, g++ and cmake and takes about
# ten minutes; after that nothing is fetched. Further arguments go to compare.py: --quick, --json FILE, --rounds N,
# --case NAME.
#
#   JAVA_HOME         the JDK of this project's engine, 17 or later; otherwise the java on the PATH
#   JAVA_HOME_25      a JDK 23 or later for Jlama, where none is under /usr/lib/jvm; without one Jlama is left out
#   PYTHON            a Python 3.11 or later; python3 by default
#   THREADS           how many threads each engine computes with; as many as there are cores by default
#   XDG_CACHE_HOME    where the peers and the model are kept, in djl-lora/peers; ~/.cache by default

set -euo pipefail
here=$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/djl-lora/peers
threads=${THREADS:-$(nproc)}
venv=$cache/venv
model=$cache/qwen2-0.5b
# shellcheck source-path=SCRIPTDIR source=../build.sh
source "$here/../build.sh"

# Prints the home of the first JDK of version 23 or later, or nothing.
find_jdk() {
    local home version
    for home in "${JAVA_HOME_25:-}" "${JAVA_HOME:-}" /usr/lib/jvm/*; do
        version=$(sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$home/release" 2>/dev/null || true)
        if [ -x "$home/bin/javac" ] && [ "${version:-0}" -ge 23 ]; then
            echo "$home"
            return
        fi
    done
}

# Runs a command when what it depends on is not what it was when it ended well the last time.
once() {
    local stamp=$cache/$1.made wanted=$2
    shift 2
    if [ ! -e "$stamp" ] || [ "$(cat "$stamp")" != "$wanted" ]; then
        echo "${0##*/}: making $(basename "$stamp" .made)" >&2
        "$@" >&2
        echo "$wanted" >"$stamp"
    fi
}

make_venv() {
    rm -rf "$venv"
    "${PYTHON:-python3}" -m venv "$venv"
    # llama.cpp's wheels are for any machine; this one is for the processor that it is compiled on.
    CMAKE_ARGS="-DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DLLAVA_BUILD=OFF" CMAKE_BUILD_PARALLEL_LEVEL=$(nproc) \
        "$venv/bin/pip" install -q --no-binary llama-cpp-python -r "$here/requirements.txt"
}

make_jlama() {
    rm -rf "$cache/jlama"
    mvn -q -B -f "$here/jlama/pom.xml" dependency:copy-dependencies "-DoutputDirectory=$cache/jlama/lib"
    "$jdk/bin/javac" -Xlint:-incubating -d "$cache/jlama/classes" -cp "$cache/jlama/lib/*" \
        --add-modules jdk.incubator.vector "$here/jlama/JlamaRunner.java"
}

mkdir -p "$cache"
processor=$(grep -m 1 'model name' /proc/cpuinfo || uname -m)
once venv "$processor $(sha256sum <"$here/requirements.txt")" make_venv
"$venv/bin/python" "$here/models.py" "$model"
jdk=$(find_jdk)

# Prints a command in one word, for compare.py to take apart.
quoted() {
    printf '%q ' "$@"
}

ours=("$java" "${options[@]}" -cp "$jar:$target/lib/*" ai.djl.lora.benchmarks.peers.PeerRunner "$model")
runners=(
    --runner djl-lora "$(quoted "${ours[@]}")"
    --runner llama.cpp "$(quoted "$venv/bin/python" "$here/llama_runner.py" "$model" --threads "$threads")"
    --runner peft "$(quoted "$venv/bin/python" "$here/peft_runner.py" "$model" --threads "$threads")"
)
if [ -n "$jdk" ]; then
    once jlama "$jdk $(cat "$here/jlama/pom.xml" "$here/jlama/JlamaRunner.java" | sha256sum)" make_jlama
    # Jlama's Panama operations were faster here at a single row than its native ones, and these give other answers for
    # prompts that they take in one batch.
    jlama=("$jdk/bin/java" --add-modules jdk.incubator.vector --enable-preview --enable-native-access=ALL-UNNAMED
        --sun-misc-unsafe-memory-access=allow -Djlama.force_panama_tensor_operations=true
        -Dorg.slf4j.simpleLogger.defaultLogLevel=warn
        -cp "$cache/jlama/classes:$cache/jlama/lib/*" JlamaRunner "$model" F32 "$threads")
    runners+=(--runner jlama "$(quoted "${jlama[@]}")")
else
    echo "${0##*/}: no JDK 23 or later; Jlama is left out" >&2
fi

export OMP_NUM_THREADS=$threads
exec "$venv/bin/python" "$here/compare.py" "${runners[@]}" "$@"
