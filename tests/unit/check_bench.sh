#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `doorkeeper bench` as a person meets it, against its own stub. No figure of time is judged.
set -euo pipefail
command=$1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "$*" >&2
    exit 1
}

# bench STATUS ARGUMENTS...: its output goes to $work/out and $work/err
bench() {
    local wanted=$1 status=0
    shift
    "$command" bench "$@" >"$work/out" 2>"$work/err" || status=$?
    [ "$status" -eq "$wanted" ] ||
        fail "doorkeeper bench $*: ended with $status, not $wanted: $(cat "$work/out" "$work/err")"
}

# says FILE PATTERN
says() {
    grep -Eq -- "$2" "$work/$1" || fail "no '$2' in $1: $(cat "$work/$1")"
}

# Of the one member of this name: its value.
json() {
    sed -n "s/^[[:space:]]*\"$1\":[[:space:]]*\(.*[^,]\),\{0,1\}\$/\1/p" "$work/json" | head -1
}

short=(--stub --duration 1 --warmup 0.1 --threads 2 --principals 3 --topics 20)
# On a busy machine, too, something is to be decided, and every question to get its answer.
short+=(--set doorkeeper.deadline.ms=2000 --set num.io.threads=8)

bench 0 --help
says out '^usage: doorkeeper bench '
[ ! -s "$work/err" ] || fail "--help: $(cat "$work/err")"

# The table and the JSON are of one run.
bench 0 "${short[@]}" --json "$work/json"
says out '^decisions +[0-9,]+ +[0-9,]+/s$'
says out '^  all calls +[0-9,]+( +[0-9.]+){6}$'
says err '^measured [0-9.]+/1\.0 s: [0-9]+ decisions/s, '
[ "$(json decisions)" -gt 0 ] || fail "nothing was decided: $(cat "$work/json")"
[ "$(json allowed)" = "$(json decisions)" ] || fail "not all was allowed: $(cat "$work/json")"
[ "$(json unavailable) $(json interrupted)" = "0 false" ] || fail "$(cat "$work/json")"

# With '-' there is nothing but JSON, and with --quiet nothing on standard error.
bench 0 "${short[@]}" --quiet --json - --stub-allow-percent 0
cp "$work/out" "$work/json"
[ "$(head -c 1 "$work/out")" = '{' ] || fail "no JSON: $(cat "$work/out")"
[ "$(json denied)" = "$(json decisions)" ] || fail "not all was denied: $(cat "$work/json")"
[ ! -s "$work/err" ] || fail "--quiet: $(cat "$work/err")"
bench 0 "${short[@]}" --stub-allow-percent 0
says out '^note: nothing was allowed\.'

# Single questions, at a rate; recorded questions; a server.properties.
bench 0 "${short[@]}" --rate 200 --set doorkeeper.opa.batch.path=
says out '^  from their begin '
printf '%s\n' '{"input": {"version": 1, "cluster": {"id": "c"}, "client": {},
"principal": {"type": "User", "name": "alice"}, "action": {"operation": "READ",
"resource": {"type": "TOPIC", "name": "orders", "pattern": "LITERAL"}}}}' | tr -d '\n' >"$work/log"
printf 'doorkeeper.cache.entries=2000\n' >"$work/server.properties"
bench 0 "${short[@]}" --replay "$work/log" --config "$work/server.properties"
says out '^load       1 recorded questions in 1 calls of 1 clients'

bench 0 --principals 2 --topics 3 --print-grants
says out '^"bench-topic-2":\{"read":\["bench-0","bench-1"\],"write":'

# What goes wrong is said.
bench 2 --stub --threads 0
says err '^doorkeeper bench: --threads 0: expected a whole number from 1 to 256$'
bench 2 --stub --set doorkeeper.deadline.ms=0
says err 'doorkeeper\.deadline\.ms=0: expected a whole number from 1 to 2000'
bench 1 "${short[@]}" --json "$work/nowhere/json"
says err "nowhere/json: No such file or directory\$"
bench 1 "${short[@]}" --replay "$work/server.properties"
says err 'server\.properties: line 1: not a JSON value'
bench 1 --opa "unix:$work/nobody" --set doorkeeper.start.wait.ms=1
says err 'did not become ready within 1 ms: it must answer the empty batch'
bench 1 --stub --duration 1 --warmup 0 --stub-latency-ms 60000 --set doorkeeper.deadline.ms=1
says err 'OPA gave no valid answer to any question'

# SIGTERM, as Ctrl-C, ends a run early with the results so far.
mkfifo "$work/progress"
"$command" bench "${short[@]}" --duration 3600 --warmup 0 --json "$work/json" \
    >"$work/out" 2>"$work/progress" &
while read -r line; do
    case $line in measured*) kill -TERM $! 2>/dev/null || true ;; esac
done <"$work/progress"
wait $! || fail "ended with $? after SIGTERM: $(cat "$work/out")"
says out 'measured, then interrupted$'
[ "$(json interrupted)" = true ] || fail "not interrupted: $(cat "$work/json")"
[ "$(json decisions)" -gt 0 ] || fail "nothing was decided: $(cat "$work/json")"

echo "$command bench: as expected"
