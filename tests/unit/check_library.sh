#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What the library shows to a broker's process: one symbol, no thread-local storage (a JVM on musl
# could not load it), no text relocations, no executable stack.
set -euo pipefail
library=$1

fail() {
    echo "$library: $*" >&2
    exit 1
}

exported=$(nm -D --defined-only "$library" | awk '{print $3}' | sort | paste -sd ' ')
[ "$exported" = "JNI_OnLoad" ] || fail "exports $exported, expected JNI_OnLoad alone"

segments=$(readelf -lW "$library")
! grep -q ' TLS ' <<<"$segments" || fail "has a thread-local segment"
! grep 'GNU_STACK' <<<"$segments" | grep -q 'E' || fail "wants an executable stack"

dynamic=$(readelf -dW "$library")
! grep -q 'TEXTREL' <<<"$dynamic" || fail "has text relocations"
grep -q 'NODELETE' <<<"$dynamic" || fail "may be unloaded: not linked with -z nodelete"
grep -q 'BIND_NOW\|NOW' <<<"$dynamic" || fail "not linked with -z now"
echo "$library: one exported symbol, no thread-local storage"
