#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The doorkeeper command as a person meets it: what it prints and how it ends.
# shellcheck disable=SC1003,SC2016 # backslashes and ${...} in the files are for Java and Kafka
set -euo pipefail
command=$1
reference=$2

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "$*" >&2
    exit 1
}

# expect STATUS "OUTPUT" ARGUMENTS...: standard output and error together, exactly
expect() {
    local wanted=$1 text=$2 status=0 output
    shift 2
    output=$("$command" "$@" 2>&1) || status=$?
    [ "$status" -eq "$wanted" ] || fail "doorkeeper $*: ended with $status, not $wanted: $output"
    [ "$output" = "$text" ] ||
        fail "doorkeeper $*: $(diff <(echo "$text") <(echo "$output") || true)"
}

# properties LINE...: writes $file
file=$work/server.properties
properties() {
    printf '%s\n' "$@" >"$file"
}

"$command" config-reference >"$work/configuration.md"
diff "$work/configuration.md" "$reference" ||
    fail "$reference is not what 'doorkeeper config-reference' prints"

usage=$("$command" --help)
grep -q 'check-config FILE' <<<"$usage" || fail "--help does not name check-config"
expect 0 "$usage" -h
expect 2 "$usage"
expect 2 "$usage" check-config
expect 2 "$usage" check-config "$file" "$file"
expect 2 "$usage" config-reference x

# Kafka's own keys, comments, spaces, and a value in Java's spelling.
properties '# a broker' 'node.id=1' 'listeners = SSL://:9093' '' \
    'doorkeeper.opa.url: http\://opa\:8181' '  doorkeeper.deadline.ms 100' \
    'super.users=User\:CN\=broker-1,O\=M\u00fcller;\' '    User:admin'
expect 0 "$file: no errors" check-config "$file"

printf 'doorkeeper.deadline.ms=100\r\n! the end\r\ndoorkeeper.opa.batch.max=\\' >"$file"
expect 1 'error: doorkeeper.opa.batch.max=: expected a whole number from 1 to 5000' \
    check-config "$file"

properties 'doorkeeper.opa.ulr=http://opa' 'doorkeeper.deadline.ms=0' 'doorkeeper.deadline.ms=1'
expect 1 "error: doorkeeper.deadline.ms is set more than once
error: doorkeeper.deadline.ms=0: expected a whole number from 1 to 2000
error: doorkeeper.opa.ulr: there is no such setting; did you mean doorkeeper.opa.url?" \
    check-config "$file"

properties 'doorkeeper.deadline.ms=${env:DEADLINE}' 'ssl.key.password=${file:/a:b}'
expect 0 "note: doorkeeper.deadline.ms is filled in by a config provider and was not checked
$file: no errors" check-config "$file"

# An https URL may stand behind the variable, so a CA without one is no error.
printf 'certificate' >"$work/ca"
properties 'doorkeeper.opa.url=${env:OPA_URL}' "doorkeeper.opa.ca.file=$work/ca"
expect 0 "note: doorkeeper.opa.url is filled in by a config provider and was not checked
$file: no errors" check-config "$file"

# The files that settings name are looked at too.
printf 'token' >"$work/token"
properties "doorkeeper.opa.token.file=$work/token"
expect 0 "$file: no errors" check-config "$file"
properties "doorkeeper.opa.token.file=$work/none"
expect 1 "error: doorkeeper.opa.token.file=$work/none: No such file or directory" \
    check-config "$file"

# The deny list is read as the broker reads it; the flush file may come later.
deny=$work/deny.json
properties "doorkeeper.deny.file=$deny" "doorkeeper.flush.file=$work/none"
printf '{"deny": [{"principal": "User:mallory", "reason": "INC-1"}]}' >"$deny"
expect 0 "$file: no errors" check-config "$file"
printf '{"deny": [\n  {"principal": "User:mallory"},\n  {"principal": "mallory"}\n]}\n' >"$deny"
expect 1 "error: doorkeeper.deny.file=$deny: line 3, entry 2: principal: expected \"Type:name\", \
as in \"User:alice\"; there is no wildcard" check-config "$file"
printf '{"deny": [\n  {"principal": "User:mallory"}\n  {"name": "a"}\n]}\n' >"$deny"
expect 1 "error: doorkeeper.deny.file=$deny: line 3: not JSON from here on" check-config "$file"
: >"$deny"
expect 1 "error: doorkeeper.deny.file=$deny: the file is empty" check-config "$file"
rm "$deny"
expect 1 "error: doorkeeper.deny.file=$deny: No such file or directory" check-config "$file"
properties 'doorkeeper.deny.file=' 'doorkeeper.flush.file='
expect 0 "$file: no errors" check-config "$file"

properties 'doorkeeper.opa.path=\u12'
expect 1 "error: $file: malformed input" check-config "$file"
expect 1 "error: $work/none: No such file or directory" check-config "$work/none"
head -c 1048577 /dev/zero >"$file"
expect 1 "error: $file: larger than 1048576 bytes" check-config "$file"

# replay: what is wrong before any OPA is asked.
grep -q 'replay LOG' <<<"$usage" || fail "--help does not name replay"
"$command" replay --help | grep -q -- '--fail-on CLASSES' || fail "replay --help"
expect 2 'doorkeeper replay: no log: name files, topic:NAME, or - for standard input' replay --policy "$work"
expect 2 "doorkeeper replay: --policy $work/none: expected the URL of an OPA (http://, https://, \
unix:/path), or a bundle that can be read: a directory or a tar.gz" replay "$file" --policy "$work/none"
expect 2 "doorkeeper replay: $work/none: No such file or directory" \
    replay "$work/none" --policy "$work"
event='"path":"a","input":1,"result":true,"timestamp":"2026-03-01T00:00:00Z"'
log=$work/log
printf '{%s}\n{"path":"a\n\n\033\n' "$event" >"$log"
expect 2 "$log: line 2: the event ends too early" replay "$log" --policy unix:/x --strict
printf '\033\n{"level":"info"}\n' >"$log"
expect 2 "$log: line 1: not a JSON object
doorkeeper replay: no decisions to compare: see the log, the filters and the times" \
    replay "$log" --policy unix:/x
printf '{%s}\n' "$event" >"$log"
expect 2 "doorkeeper replay: no decisions to compare: see the log, the filters and the times" \
    replay "$log" --policy unix:/x --since 2026-03-01T00:00:01Z
printf '{%s}\n' "$event" | "$command" replay - --policy "unix:$work/none" >"$file" 2>&1 &&
    fail "no OPA, and no trouble"
grep -q "^doorkeeper replay: unix:$work/none: " "$file" || fail "no OPA: $(cat "$file")"
# A bundle that OPA does not take: its own words, and nothing is left behind.
mkdir "$work/bundle" "$work/tmp"
TMPDIR=$work/tmp expect 2 "doorkeeper replay: OPA did not start: $work/opa: No such file or directory" \
    replay "$log" --policy "$work/bundle" --opa-binary "$work/opa"
[ -z "$(ls "$work/tmp")" ] || fail "left behind: $(ls "$work/tmp")"

echo "$command: as expected"
