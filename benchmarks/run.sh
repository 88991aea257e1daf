#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds what is missing and runs the operator's benchmarks under JMH; --help lists the options.
# With --leases those of leasing adapters instead.
#
#   JAVA_HOME   the JDK to use, 17 or later; otherwise the java on the PATH
#   JAVA_OPTS   further options of the JVMs, such as -Xmx8g

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=build.sh
source "$(dirname "${BASH_SOURCE[0]}")/build.sh"

main=BenchmarkCommand
if [ "${1:-}" = --leases ]; then
    shift
    main=LeaseCommand
fi

# JMH hands these options on to the JVMs in which it measures.
# shellcheck disable=SC2086 # JAVA_OPTS holds several options
exec "$java" ${JAVA_OPTS:-} "${options[@]}" -cp "$jar:$target/lib/*" "ai.djl.lora.benchmarks.$main" "$@"
