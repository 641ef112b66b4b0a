#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Counts the instructions of a hit with valgrind, which other work on the machine does not change,
# and compares them with the ceilings beside this file: check.sh PROBE_HITS
set -eu
probe_hits=$1
directory=$(dirname "$0")
calls=1000
counts=$(mktemp)
trap 'rm -f "$counts"' EXIT

# instructions_an_action ACTIONS
instructions_an_action() {
    valgrind --quiet --tool=callgrind "--callgrind-out-file=$counts" \
        '--toggle-collect=ask_again*' "$probe_hits" "$1" "$calls"
    awk -v "actions=$(($1 * calls))" \
        '$1 == "summary:" { printf "%d\n", ($2 + actions - 1) / actions }' "$counts"
}

failed=0
while read -r machine actions ceiling; do
    [ "$machine" = "$(uname -m)" ] || continue
    counted=$(instructions_an_action "$actions")
    echo "$actions actions a call: $counted instructions an action, at most $ceiling"
    # A count of nothing is a guard that guards nothing.
    [ "$counted" -gt 0 ] && [ "$counted" -le "$ceiling" ] || failed=1
done <"$directory/ceilings"
exit "$failed"
