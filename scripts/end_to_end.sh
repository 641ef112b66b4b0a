# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What runs on a real broker: the end-to-end tests, Kafka's own suites, the demo.

# The jars of a broker and its tools, in .dev/kafka-VERSION.
kafka_jars() {
    local version=$1 directory=.dev/kafka-$1
    [ ! -f "$directory/complete" ] || return 0
    say "fetching the jars of Kafka $version from Maven Central into $directory"
    rm -rf "$directory"
    maven -q -f tests/e2e/kafka/pom.xml dependency:copy-dependencies "-Dkafka.version=$version" \
        "-DoutputDirectory=$PWD/$directory"
    touch "$directory/complete"
}

# end_to_end_tests VERSION [pytest arguments], on what `package` wrote
end_to_end_tests() {
    local version=$1
    shift
    kafka_jars "$version"
    KAFKA_VERSION=$version .dev/venv/bin/python -m pytest tests/e2e "$@"
}

# chaos_tests [pytest arguments], on what `package` wrote
chaos_tests() {
    kafka_jars 4.3.1
    .dev/venv/bin/python -m pytest tests/chaos "$@"
}

# What is too long for every change: each fault under load for a while.
soak() {
    setup_all
    package
    chaos_tests --fault-seconds "${1:-30}"
}

demo() {
    setup_all
    package
    kafka_jars 4.3.1
    exec .dev/venv/bin/python demo/demo.py "$@"
}

# conformance [--subset]
conformance() {
    local profile=()
    [ "${1-}" != --subset ] || profile=(-Psubset)
    setup_build
    build release
    maven -q -f java-shim/pom.xml install -Dmaven.test.skip=true
    maven -f tests/conformance/pom.xml test "${profile[@]}"
    cat tests/conformance/target/conformance.txt
}
